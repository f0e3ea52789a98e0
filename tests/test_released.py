"""What a released version wrote stays loadable: spaces, studies, checkpoints, and the defaults."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from raylt import cli, space
from raylt.space import strategy
from raylt.study.record import studies
from raylt.trial import parts
from raylt.trial.checkpoints import checkpoint
from raylt.trial.evaluation import classes
from raylt.trial.evaluation.score import score
from tests.released import make

FOLDER = Path(make.__file__).parent
VERSIONS = sorted(path.name for path in FOLDER.iterdir() if (path / "space.yaml").is_file())
every_version = pytest.mark.parametrize("version", VERSIONS)
CPU = torch.device("cpu")


@pytest.fixture
def kept(version, tmp_path):
    """A copy of the study that a version left, in a folder of runs."""
    folder = tmp_path / "kept"
    shutil.copytree(FOLDER / version / "study", folder)
    packed = folder / "study.db.gz"
    (folder / "study.db").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    return folder


def test_there_is_something_of_every_release():
    assert "0.1.0" in VERSIONS


@every_version
def test_a_space_means_what_it_meant(version, kept):
    loaded = space.load(FOLDER / version / "space.yaml")
    stored = space.load(kept / "space.yaml")
    assert loaded.digest == stored.digest
    assert loaded.leaves == stored.leaves
    opened = studies.load(kept, sampler=None)
    try:
        # The digest of the whole space, and of each trial's recipe, as they were then.
        assert opened.facts["space"] == loaded.digest
        # It drew whole numbers between whole ends, for a real hyperparameter too.
        assert opened.whole_ends
        assert next(x for x in opened.space.leaves if x.path == "method.cosine_scale").integer
        for trial in opened.outcomes():
            assert loaded.at(trial.point).digest == trial.digest
    finally:
        opened.close()


@every_version
def test_every_knob_has_the_default_that_it_had(version):
    """Digests leave out what has its default, so a default that was released must stay."""
    then = json.loads((FOLDER / version / "defaults.json").read_text("utf-8"))
    now = make.defaults()
    if version == "0.1.0":
        # No digest has it, and a study that was begun without it keeps it.
        assert then["study"].pop("scheduler.grace") == strategy.FIRST_GRACE
    for part, defaults in then.items():
        assert {path: now[part].get(path) for path in defaults} == defaults, part


@every_version
def test_a_study_can_be_looked_at(version, kept, capsys):
    for verb in ("status", "best"):
        assert cli.run([verb, "kept", "--runs", str(kept.parent), "--json"]) == 0
    shown = capsys.readouterr().out
    assert "kept" in shown
    opened = studies.load(kept, sampler=None)
    try:
        assert len(opened.outcomes()) == 3
        assert opened.baseline().state == "complete"
        assert {trial.state for trial in opened.outcomes()} <= {"complete", "stopped"}
    finally:
        opened.close()


@every_version
def test_a_checkpoint_is_the_model_that_it_was(version, kept):
    opened = studies.load(kept, sampler=None)
    try:
        baseline = opened.baseline()
        run = opened.space.at(baseline.point)
    finally:
        opened.close()
    folder = kept / make.BASELINE
    saved = checkpoint.latest(folder, run.digest)
    assert saved.epoch == run.epochs
    built = parts.build(run, root=Path("unused"), device=CPU)
    saved.restore(built.method, built.optimizer)
    splits = built.splits
    scored = score(built.method, splits, splits.validation, run, device=CPU)
    # Other versions of torch may round another way, by a picture or two.
    assert scored.metrics["accuracy"] == pytest.approx(baseline.last["val/accuracy"], abs=0.01)
    assert scored.metrics["accuracy"] > 0.3
    assert classes.read(folder).last.epoch == run.epochs


@pytest.mark.ray
@pytest.mark.slow
@every_version
def test_a_study_goes_on(version, kept):
    words = ["resume", "kept", "--trials", "+1", "--runs", kept.parent, "--quiet"]
    subprocess.run([sys.executable, "-m", "raylt", *words], check=True, cwd=kept.parent)
    opened = studies.load(kept, sampler=None)
    try:
        assert len(opened.outcomes()) == 4
    finally:
        opened.close()
