"""Keep what this version writes, for the tests of later ones: `python -m tests.released.make`.

To be run once for each released version, from a clean checkout. It searches the space beside this
file, and keeps the space, the study without its trials' folders but the baseline's, that trial's
last checkpoint, and the default of every knob.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import raylt
from raylt import plugins, recipe
from raylt.space.plan import Study

HERE = Path(__file__).parent
BASELINE = "trials/0"


def defaults() -> dict[str, dict[str, Any]]:
    """The default of every knob of a study, and of a recipe of every method and dataset."""
    pairs = [(name, "digits") for name in plugins.names("methods")]
    pairs += [("sdclr", name) for name in plugins.names("datasets")]
    found = {
        f"{method} on {dataset}": recipe.defaults(recipe.model(method, dataset))
        for method, dataset in pairs
    }
    return {"study": recipe.defaults(Study), **found}


def main() -> None:
    """Write the folder of this version."""
    kept = HERE / raylt.__version__
    kept.mkdir()
    shutil.copy(HERE / "space.yaml", kept)
    (kept / "defaults.json").write_text(json.dumps(defaults(), indent=1) + "\n", "utf-8")
    with tempfile.TemporaryDirectory() as folder:
        tune = ["raylt", "tune", "--quiet", "--space", HERE / "space.yaml", "--runs", folder]
        subprocess.run([sys.executable, "-m", *tune], check=True)
        study, copy = Path(folder, "kept"), kept / "study"
        (copy / BASELINE).mkdir(parents=True)
        shutil.copy(study / "space.yaml", copy)
        (copy / "study.db.gz").write_bytes(gzip.compress((study / "study.db").read_bytes()))
        for name in ("classes.json", "epochs.jsonl"):
            shutil.copy(study / BASELINE / name, copy / BASELINE)
        shutil.copy(max((study / BASELINE).glob("*.safetensors")), copy / BASELINE)


if __name__ == "__main__":
    main()
