"""A work function whose trials can go on from each other: skill grows by how good the values are.

The best temperature falls with the epochs, so that no constant one is best. The few-shot accuracy
is the better the less skill there is.
"""

import json
import math


def work(recipe, *, root, folder, report, device):
    found = sorted(folder.glob("checkpoint-*.safetensors"))
    state = json.loads(found[-1].read_text()) if found else {"epoch": 0, "skill": 0.0}
    for epoch in range(state["epoch"] + 1, recipe.epochs + 1):
        holding = next(recipe.stages(epoch - 1))[0]
        state = {"epoch": epoch, "skill": state["skill"] + gain(holding, epoch)}
        with (folder / "ran.txt").open("a") as file:
            file.write(f"{epoch}\n")
        part = folder / "part"
        part.write_text(json.dumps(state))
        part.replace(folder / f"checkpoint-{epoch:06d}.safetensors")
        accuracy = state["skill"] / recipe.epochs
        report({"epoch": epoch, "val/accuracy": accuracy, "val/few": 1 - accuracy, "lr": 0.1})


def gain(recipe, epoch):
    wanted = 0.8 - 0.6 * epoch / recipe.epochs
    miss = abs(math.log(recipe.method.temperature / wanted)) + abs(recipe.method.prune - 0.5)
    return math.exp(-miss)
