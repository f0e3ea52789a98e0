"""Keep what this version writes, for the tests of later ones: `python -m tests.released.make`.

To be run once for each released version, from a clean checkout. It searches the space beside this
file in this process, and keeps the space, the study without its trials' folders but the
baseline's, that trial's last checkpoint, and the default of every field.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import raylt
from raylt import datasets, plugins, recipe, space
from raylt.space.plan import Study
from raylt.study.record import provenance, studies
from raylt.study.search import sampler
from raylt.study.search.searcher import TruthfulSearcher
from raylt.trial import worker

HERE = Path(__file__).parent
BASELINE = "trials/0"


def defaults() -> dict[str, dict[str, Any]]:
    """The default of every field of a study, and of a recipe of every method and dataset."""
    pairs = [(name, "digits") for name in plugins.names("methods")]
    pairs += [("sdclr", name) for name in plugins.names("datasets")]
    models = {
        f"{method} on {dataset}": recipe.model_of(
            {"method": {"name": method}, "data": {"name": dataset}}
        )
        for method, dataset in pairs
    }
    result = {name: recipe.defaults(model) for name, model in models.items()}
    return {"study": recipe.defaults(Study), **result}


def searched(folder: Path) -> None:
    """Search the space one trial after the other, as the driver does with Ray."""
    wanted = space.load(HERE / "space.yaml")
    images = datasets.load(recipe.dataset(wanted.fixed), folder)
    study = studies.create(
        folder,
        wanted,
        sampler=sampler.sampler(wanted, begun=0),
        queue=(),
        facts={
            "floor": {},
            "fingerprint": images.fingerprint,
            "command": "",
            "versions": provenance.tags(),
        },
    )
    searcher = TruthfulSearcher(study, [], lambda trial: "")
    for number in range(wanted.study.trials):
        trial = str(number)
        config = searcher.suggest(trial)
        assert isinstance(config, dict)
        searcher.started(trial)
        worker.work(
            recipe.parse(json.loads(config["recipe"])),
            root=folder,
            folder=Path(config["folder"]),
            device="cpu",
            report=lambda metrics, trial=trial: searcher.on_trial_result(trial, metrics),
        )
        searcher.on_trial_complete(trial)
    study.close()


def main() -> None:
    """Write the folder of this version."""
    kept = HERE / raylt.__version__
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder, "kept")
        searched(study)
        (kept / "study" / BASELINE).mkdir(parents=True)
        shutil.copy(HERE / "space.yaml", kept)
        shutil.copy(study / "space.yaml", kept / "study")
        packed = gzip.compress((study / "study.db").read_bytes())
        (kept / "study" / "study.db.gz").write_bytes(packed)
        trial = study / BASELINE
        for path in (trial / "classes.json", max(trial.glob("checkpoint-*.safetensors"))):
            shutil.copy(path, kept / "study" / BASELINE)
    (kept / "defaults.json").write_text(json.dumps(defaults(), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
