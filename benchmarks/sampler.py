"""What a draw of a sampler costs in a study that has many trials already.

python -m benchmarks.sampler [TRIALS]...
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import optuna

from raylt import space as spaces
from raylt.space import Space
from raylt.study.record import distributions
from raylt.study.search import sampler

SPACE = """
study:
  name: scale
  trials: {trials}
  sampler: {{name: {sampler}, seed: 0}}
  scheduler: {{name: asha, grace: 1, factor: 3}}
recipe:
  data: {{name: digits}}
  method:
    name: sdclr
    temperature: {{low: 0.05, high: 1.0, log: true}}
    prune: {{low: 0.1, high: 0.99}}
  encoder: small
  size: 16
  optimizer: {{lr: {{low: 0.01, high: 1.0, log: true}}, batch_size: 128}}
  epochs: {epochs}
"""
NAMES = ("tpe", "random")
_DRAWS = 5


def cost(name: str, trials: int) -> float:
    """Seconds of processor time of one draw after so many trials, two in three stopped early."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "space.yaml")
        path.write_text(SPACE.format(trials=trials, sampler=name, epochs=9), "utf-8")
        space = spaces.load(path)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=sampler.sampler(space, begun=0))
    study.add_trials([_past(space, number) for number in range(trials)])
    took: list[float] = []
    for _ in range(_DRAWS):
        # The first thing that a search does, too: it forgets what it had cached of the trials.
        trial = study.ask()
        began = time.process_time()
        sampler.suggest(study, study._storage.get_trial(trial._trial_id), space)
        took.append(time.process_time() - began)
    return statistics.median(took)


def _past(space: Space, number: int) -> optuna.trial.FrozenTrial:
    rng = random.Random(number)
    drawn = distributions.parameters(space, space.draw(rng))
    complete = number % 3 == 0
    value = rng.random()
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState.COMPLETE if complete else optuna.trial.TrialState.PRUNED,
        value=value if complete else None,
        params={name: heard for name, (_, heard) in drawn.items()},
        distributions={name: law for name, (law, _) in drawn.items()},
        intermediate_values={1: value},
    )


def lines(sizes: Sequence[int]) -> list[str]:
    """What draws cost, measured in studies of these sizes that are made up, as Markdown."""
    return [
        "A draw alone, in studies of which so many trials are over, in milliseconds of processor "
        "time:",
        "",
        f"| trials that are over | {' | '.join(f'{size:,}' for size in sizes)} |",
        f"|---|{'---:|' * len(sizes)}",
        *(
            f"| {name} | {' | '.join(f'{1e3 * cost(name, size):.1f}' for size in sizes)} |"
            for name in NAMES
        ),
    ]


if __name__ == "__main__":
    print("\n".join(lines([int(size) for size in sys.argv[1:]] or [1000, 10_000])))
