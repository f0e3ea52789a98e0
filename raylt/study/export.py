"""Take a trained model away: weights, recipe, and a program that needs torch and nothing else."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from raylt import escape, uris
from raylt import recipe as recipes
from raylt.data.reading.paths import shown
from raylt.schema import EnvironmentError, InputError
from raylt.space.file import document
from raylt.space.metric_names import BEST, GROUPS
from raylt.study.record import bucket, provenance
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, percent
from raylt.study.report import status
from raylt.study.report.best import retrain
from raylt.study.resources import environment
from raylt.study.run import retention, same_data
from raylt.trial.checkpoints import checkpoint_names

if TYPE_CHECKING:
    from torch import Tensor

    from raylt.trial.portable import Portable

_LOADER = '''"""Name what is on a picture: this needs torch, and Pillow to open files.

    from load import predict
    predict("photo.jpg")  # [("cat", 0.93), ("dog", 0.05), ...]
"""

import json
import logging
import sys
from pathlib import Path

import torch

_files = {{"classes.json": ""}}
_path = Path(__file__).parent / "model.pt2"
# What cannot be loaded is said below, without torch's traceback.
logging.getLogger("torch.export").setLevel(logging.CRITICAL)
try:
    model = torch.export.load(_path, extra_files=_files).module()
except Exception as error:
    # A missing or damaged archive fails in every way that zip files and torch know.
    reason = " ".join(str(error).split())[:200]
    message = f"{{_path}} must be the exported model, but cannot be read ({{reason}}); "
    message += "export it again"
    if __name__ != "__main__":
        raise RuntimeError(message) from error
    print(f"error: {{message}}", file=sys.stderr)
    sys.exit(2)
CLASSES = json.loads(_files["classes.json"])


def classify(images):
    """Logits (n, {classes}) and features (n, width) of float32 images in [0, 1] of any size,
    (n, {channels}, height, width); the model crops, resizes and normalises them itself."""
    with torch.no_grad():
        return model(images)


def predict(image):
    """The classes and their probabilities, the likeliest first, of a file or of the pixels of an
    image, ({channels}, height, width): uint8, or floats in [0, 1]."""
    if not isinstance(image, torch.Tensor):
        image = opened(image)
    pixels = image if image.is_floating_point() else image / 255
    chances = classify(pixels[None])[0][0].softmax(0).tolist()
    return sorted(zip(CLASSES, chances), key=lambda pair: -pair[1])


def opened(path):
    """The pixels of a file as a viewer shows them."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("this needs Pillow; install it with `pip install pillow`") from error
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("{mode}")
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(image.height, image.width, {channels}).permute(2, 0, 1)


def _deep(image):
    """Grey pixels of more than eight bits, scaled as in training."""
    if image.mode == "F":
        values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.float32)
    else:
        whole = torch.frombuffer(bytearray(image.convert("I").tobytes()), dtype=torch.int32)
        values = whole / 65535
    if values.min() < 0 or values.max() > 1:
        raise ValueError("its pixels must be floats in 0..1 or numbers of 16 bits")
    values = (255 * values).round() / 255
    return values.view(1, image.height, image.width).expand({channels}, -1, -1)


def main(paths):
    """Name what is on each picture; returns the exit code."""
    if not paths or paths[0] in ("-h", "--help"):
        print("usage: python load.py PICTURE...", file=sys.stdout if paths else sys.stderr)
        return 0 if paths else 2
    code = 0
    for path in paths:
        try:
            best = ", ".join(f"{{name}} {{chance:.1%}}" for name, chance in predict(path)[:5])
            print(f"{{path}}: {{best}}")
        except Exception as error:
            # Pillow's readers fail on damaged files in every way that Python knows.
            reason = getattr(error, "strerror", None) or error
            print(f"error: {{path}} cannot be read: {{reason}}", file=sys.stderr)
            code = 2
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''

_README = """# {name}

Trial {number} of the study {study}: {scores} on the validation images, after {epoch}.
{method} on {data} (fingerprint {fingerprint}), trained with raylt {raylt}.

Name what is on a new picture, from this folder and with torch and Pillow alone:

```python
from load import predict
print(predict("photo.jpg"))  # the classes and their probabilities, the likeliest first
```

or `python load.py photo.jpg`.

| file | holds |
|---|---|
| model.pt2 | the model as a program; `torch.export.load` of torch {torch} or newer reads it, and \
the names of its classes as the extra file `classes.json` |
| weights.safetensors | the method's weights, names as in raylt, for any version of torch |
| recipe.yaml | every choice of the training run |
| load.py | loads the model: `predict` for a picture, `classify` for a batch |

Images go in as float32 (n, {channels}, height, width) with pixels in [0, 1], of any size: the
model takes a central square, resizes it to {side} pixels and normalises it. Out come logits
(n, {classes}) and features. The classes in order: {names}.
{probe}
"""
_NAMED = 200
"""Classes that the README names at most."""
_PROBE = """
The method trains no classifier: this one is the probe that the study scored it by, fitted on the
labels `{labels}`.
"""


def chosen(record: Record, number: int | None) -> Outcome:
    """The trial with a number, or the best one.

    Raises:
        InputError: there is no such trial, or it was never scored.
    """
    if number is None:
        best = record.best()
        if best is None:
            raise InputError(
                f"{record.name}: a trial must have finished and kept the constraints, but none "
                f"has; name one with --trial, or {status.what_next(record)}"
            )
        return best
    trials = {outcome.number: outcome for outcome in record.outcomes()}
    if number not in trials:
        raise InputError(
            f"--trial must be a trial of {record.name}, but got {number}; there are "
            f"{', '.join(map(str, trials)) or 'none'}"
        )
    if not trials[number].last:
        raise InputError(
            f"--trial must be a trial that was scored, but trial {number} is "
            f"{trials[number].state}; choose another"
        )
    return trials[number]


def export(record: Record, trial: Outcome, folder: Path, *, root: Path) -> dict[str, Path]:
    """Write a trial's model into a new folder; returns its files by their names.

    Args:
        folder: Must not exist, or be empty; it appears when it is complete.
        root: Folder of the datasets, for a method whose classifier is a probe.

    Raises:
        InputError: the folder is not empty, or the images of a probe have changed.
        EnvironmentError: the checkpoint is gone, or the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"the folder must be new or empty, but {folder} is not; choose another")
    model, weights = _load(record, trial, root)
    import torch
    from safetensors.torch import save_file

    from raylt.trial import portable

    draft = folder.with_name(f"{folder.name}.{os.getpid()}.draft")
    try:
        draft.mkdir(parents=True)
        portable.save(model, draft / "model.pt2")
        save_file(
            {name: tensor.contiguous() for name, tensor in weights.items()},
            draft / "weights.safetensors",
            {"recipe": recipes.parse(dict(trial.recipe)).model_dump_json()},
        )
        # safetensors would have it read by nobody else.
        usual = (draft / "model.pt2").stat().st_mode
        (draft / "weights.safetensors").chmod(usual)
        (draft / "recipe.yaml").write_text(document.dump(trial.recipe), "utf-8")
        mode = {1: "L", 3: "RGB"}[model.channels]
        loader = _LOADER.format(classes=len(model.names), channels=model.channels, mode=mode)
        (draft / "load.py").write_text(loader, "utf-8")
        readme = _readme(record, trial, model, torch=torch.__version__)
        (draft / "README.md").write_text(readme, "utf-8")
        if folder.exists():
            folder.rmdir()
        draft.replace(folder)
    except OSError as error:
        raise EnvironmentError(
            f"the folder must be writable, but {folder} is not: {error.strerror}; choose another"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return {path.name: path for path in sorted(folder.iterdir())}


def register(record: Record, trial: Outcome, *, root: Path, uri: str, name: str) -> int:
    """Log a trial's model into its MLflow run and register it; returns the new version.

    The registered model takes images and gives logits, in MLflow's `pytorch` flavour.

    Raises:
        InputError: the trial has no run in that store.
        EnvironmentError: MLflow does not take it.
    """
    # MLflow's links to the run would stand among the results.
    environment.prepare_mlflow()
    from raylt.study.tracking import registry, store

    file = uris.sqlite_file(uri)
    run: str | None = record.facts.get(f"mlflow:trial/{trial.number}", {}).get("run")
    exists = file is None or file.exists()
    # The store may have been moved: whether the run is there is asked, not remembered.
    if run is None or not exists or not registry.has_run(store.ensure(uri), run):
        resume = provenance.command(record, "resume", record.name)
        raise InputError(
            f"trial {trial.number} must have a run in {uris.public(uri)}, but has none; "
            f"`{resume}` sends it, or name the store of the study with --tracking-uri"
        )
    model, _ = _load(record, trial, root)
    return registry.register(model, run=run, uri=uri, name=name)


def _load(record: Record, trial: Outcome, root: Path) -> tuple[Portable, dict[str, Tensor]]:
    """A trial's model and weights, after the epoch that the study judges it by."""
    source = bucket.trial_folder(record, trial.number, whole=True)
    if not any(source.glob(checkpoint_names.PATTERN)):
        raise EnvironmentError(_missing(record, trial, source))
    # torch takes seconds to import: what can be refused is refused before.
    from raylt.data import images
    from raylt.trial import portable

    data = record.facts.get("data", {})
    return portable.load(
        recipes.parse(dict(trial.recipe)),
        # A study of before does not have its shape.
        images.black(data) if "shape" in data else None,
        functools.partial(same_data.require_here, record, root),
        digest=trial.digest,
        folder=source,
        best=_by_best_epoch(record),
    )


def _missing(record: Record, trial: Outcome, folder: Path) -> str:
    """That a trial has no checkpoint, whether raylt removed it, and how to have one."""
    again = f"train it again with `{retrain(record, trial)}`"
    plan = record.space.study
    if plan.checkpoints == "all" or trial.number in retention.kept(record, record.outcomes()):
        return f"{folder} must hold a checkpoint, but holds none; {again}"
    return (
        f"trial {trial.number} must have a checkpoint, but raylt removed it once the trial was "
        f"over: `study.checkpoints: top` keeps those of the baseline and of the best "
        f"{plan.confirm.top}, and `study.checkpoints: all` in a new study all; {again}"
    )


def _by_best_epoch(record: Record) -> bool:
    """Whether a study judges its trials by their best epoch."""
    return record.objectives[0].metric.startswith(BEST)


def _readme(record: Record, trial: Outcome, model: Portable, *, torch: str) -> str:
    best = _by_best_epoch(record)
    metrics = [f"{BEST}{group}" for group in GROUPS] if best else SHOWN
    scores = ", ".join(
        f"{metric.rpartition('/')[2]} {percent(trial.last[metric])}"
        for metric in metrics
        if metric in trial.last
    )
    more = [f"and {len(model.names) - _NAMED} more"] if len(model.names) > _NAMED else []
    needs_probe = model.method.classifier() is None and model.method.probe() is None
    return _README.format(
        name=f"{record.name}, trial {trial.number}",
        number=trial.number,
        study=record.name,
        scores=scores,
        epoch="the epoch that validation chose" if best else f"epoch {trial.epoch}",
        method=trial.recipe["method"]["name"],
        data=trial.recipe["data"]["name"],
        fingerprint=record.facts["fingerprint"],
        raylt=record.facts["raylt"],
        torch=torch.split("+")[0],
        channels=model.channels,
        side=model.size,
        classes=len(model.names),
        names=", ".join([escape.markdown(shown(name)) for name in model.names[:_NAMED]] + more),
        probe=_PROBE.format(labels=trial.recipe["evaluation"]["labels"]) if needs_probe else "",
    )
