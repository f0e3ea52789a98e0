"""An exported model gives, without raylt, what the trained one gave."""

import functools
import importlib
import json
import os
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from raylt import cli, datasets
from raylt import recipe as recipes
from raylt.datasets.folder import Config
from raylt.schema import EnvironmentError, InputError
from raylt.study import export
from raylt.study.run import same_data
from raylt.trial import portable, worker
from raylt.trial.checkpoints import checkpoint, checkpoint_names
from tests.study import made
from tests.study.start import made as photos

# Torch reads what it wrote and warns of its own archive.
pytestmark = pytest.mark.filterwarnings("ignore:No complete tensor found:UserWarning")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study whose best trial was really trained, for one epoch."""
    folder = tmp_path_factory.mktemp("export")
    record = made.study(
        folder,
        "epochs=1",
        "study.scheduler={name: none}",
        trials=2,
        failed=(1,),
        stopped=(),
        tables=False,
    )
    best = record.best()
    reports = []
    worker.work(
        recipes.parse(dict(best.recipe)),
        root=folder,
        folder=record.trial_folder(best.number),
        report=reports.append,
        device="cpu",
    )
    yield record, reports[-1]
    record.close()


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    record, _ = trained
    folder = tmp_path_factory.mktemp("models") / "best"
    return export.export(record, record.best(), folder, root=folder)


def test_the_program_scores_as_the_trial_did(trained, exported):
    record, scored = trained
    recipe = recipes.parse(dict(record.best().recipe))
    splits = datasets.load(recipe.data, exported["model.pt2"])
    pixels = splits.validation.take(np.arange(len(splits.validation)))
    images = torch.from_numpy(pixels).float() / 255
    logits, features = torch.export.load(exported["model.pt2"]).module()(images)
    assert logits.shape == (len(images), 10)
    assert len(features) == len(images)
    right = (logits.argmax(1).numpy() == splits.validation.labels).mean()
    assert right == pytest.approx(scored["val/accuracy"], abs=0.01)


def test_the_snippet_runs_where_raylt_is_not(exported, tmp_path):
    Image.new("L", (30, 20)).save(tmp_path / "photo.png")
    blocked = (
        "import sys, runpy\n"
        "for name in ('raylt', 'ray', 'mlflow', 'optuna', 'jaxtyping', 'safetensors'):\n"
        "    sys.modules[name] = None\n"
        "del sys.argv[0]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    words = [sys.executable, "-c", blocked, str(exported["load.py"]), "photo.png"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("photo.png: ")


@pytest.fixture(scope="module")
def load(exported):
    """The program in this process: another one takes seconds to import torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(exported["load.py"].parent))
        yield importlib.import_module("load")
        del sys.modules["load"]


def test_the_program_says_in_a_line_each_what_it_cannot_read(load, tmp_path, monkeypatch, capsys):
    Image.effect_noise((30, 20), 99).save(tmp_path / "good.png")
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:200])
    bad = ["missing.png", "text.jpg", "cut.png", "."]
    monkeypatch.chdir(tmp_path)
    assert load.main([*bad, "good.png"]) == 2
    printed = capsys.readouterr()
    errors = printed.err.splitlines()
    assert [line.split()[1] for line in errors] == bad
    assert all(line.startswith("error: ") and "cannot be read: " in line for line in errors)
    assert printed.out.startswith("good.png: ")


def test_the_program_without_a_picture_says_how_it_is_used(load, capsys):
    assert load.main([]) == 2
    assert capsys.readouterr() == ("", "usage: python load.py PICTURE...\n")


def test_pictures_of_more_than_eight_bits_are_scaled_as_in_training(load, tmp_path):
    grey = np.arange(0, 256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "eight.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    Image.fromarray(grey.astype(np.float32) / 255).save(tmp_path / "float.tiff")
    names = ("eight.png", "sixteen.png", "float.tiff")
    first, *others = [load.predict(tmp_path / name) for name in names]
    for other in others:
        assert [name for name, _ in other] == [name for name, _ in first]
        assert [chance for _, chance in other] == pytest.approx([chance for _, chance in first])


def test_a_model_that_is_gone_or_damaged_is_one_line(exported, tmp_path, capsys):
    program = tmp_path / "load.py"
    program.write_text(exported["load.py"].read_text("utf-8"), "utf-8")
    for damage in (lambda: None, lambda: (tmp_path / "model.pt2").write_bytes(b"PK")):
        damage()
        with pytest.raises(SystemExit, match="2"):
            runpy.run_path(str(program), run_name="__main__")
        printed = capsys.readouterr()
        (line,) = printed.err.splitlines()
        assert printed.out == ""
        assert "model.pt2 must be the exported model, but cannot be read" in line
        with pytest.raises(RuntimeError, match="export it again"):
            runpy.run_path(str(program))


def test_files_have_the_usual_permissions(exported, tmp_path):
    (tmp_path / "usual").touch()
    assert {path.stat().st_mode for path in exported.values()} == {
        (tmp_path / "usual").stat().st_mode
    }


def test_a_model_is_not_exported_with_other_images(tmp_path):
    record = made.study(tmp_path, trials=1, failed=(), tables=False, fingerprint="0" * 16)
    (record.trial_folder(0) / "checkpoint-000006.safetensors").touch()
    with pytest.raises(InputError, match=r"must be those that it began with, .* 0{16}, now"):
        export.export(record, record.best(), tmp_path / "out", root=tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_model_with_a_classifier_of_its_own_is_exported_without_its_images(tmp_path):
    data = {"name": "folder", "images": "set", "natural": True, "validation": 1, "test": 1}
    folder = photos.folder(tmp_path / "set", {"cat": 9, "dog": 6}, size=20)
    splits = datasets.load(Config.model_validate(data), tmp_path)
    record = made.study(
        tmp_path / "runs",
        f"data={data}",
        "method={name: cross_entropy}",
        "optimizer.lr={low: 0.01, high: 0.2}",
        "study.baseline={source: a guess, values: {optimizer.lr: 0.1}}",
        "epochs=1",
        "study.scheduler={name: none}",
        trials=1,
        failed=(),
        stopped=(),
        tables=False,
        fingerprint=splits.fingerprint,
    )
    record.note("data", splits.facts)
    best = record.best()
    worker.work(
        recipes.parse(dict(best.recipe)),
        root=tmp_path,
        folder=record.trial_folder(best.number),
        report=lambda _: None,
        device="cpu",
    )
    model, _ = portable.load(
        recipes.parse(dict(best.recipe)),
        None,
        lambda: splits,
        digest=best.digest,
        folder=record.trial_folder(best.number),
        best=False,
    )
    shutil.rmtree(folder)
    files = export.export(record, best, tmp_path / "out", root=tmp_path)
    picture = torch.rand(2, 3, 30, 20)
    logits, _ = torch.export.load(files["model.pt2"]).module()(picture)
    assert torch.allclose(logits, model(picture)[0], atol=1e-5)
    assert "in order: cat, dog" in files["README.md"].read_text()


def test_a_raw_image_of_any_size_goes_in(exported):
    """It is cut and resized as Pillow does it for the dataset."""
    program = torch.export.load(exported["model.pt2"]).module()
    large = np.random.RandomState(0).rand(40, 54).astype(np.float32)
    middle = Image.fromarray(large).crop((7, 0, 47, 40))
    small = np.asarray(middle.resize((8, 8), Image.Resampling.BILINEAR))
    logits, expected = (program(torch.tensor(image)[None, None])[0] for image in (large, small))
    assert torch.allclose(logits, expected, atol=1e-3)


def test_a_newcomer_names_a_picture(load, exported, tmp_path, capsys):
    grey = np.zeros((30, 50), np.uint8)
    grey[5:25, 20:30] = 255
    path = tmp_path / "photo.png"
    Image.fromarray(grey).save(path)
    printed = load.predict(path)
    assert sorted(name for name, _ in printed) == list("0123456789")
    assert sum(chance for _, chance in printed) == pytest.approx(1, abs=1e-4)
    assert printed == sorted(printed, key=lambda pair: -pair[1])
    pixels = torch.from_numpy(grey).float()[None, None] / 255
    logits = torch.export.load(exported["model.pt2"]).module()(pixels)[0]
    assert printed[0][0] == str(int(logits.argmax()))
    assert load.main([path]) == 0
    assert f"photo.png: {printed[0][0]} " in capsys.readouterr().out


def test_weights_and_recipe_are_those_of_the_run(trained, exported):
    record, _ = trained
    best = record.best()
    _, weights = portable.load(
        recipes.parse(dict(best.recipe)),
        None,
        lambda: same_data.require_here(record, exported["load.py"]),
        digest=best.digest,
        folder=record.trial_folder(best.number),
        best=False,
    )
    with safe_open(exported["weights.safetensors"], framework="pt") as file:
        assert set(file.keys()) == set(weights)
        assert all(torch.equal(file.get_tensor(name), weights[name]) for name in weights)
        assert recipes.parse(json.loads(file.metadata()["recipe"])).digest == best.digest
    from ruamel.yaml import YAML

    written = YAML(typ="safe").load(exported["recipe.yaml"])
    assert recipes.parse(written).digest == best.digest
    words = exported["README.md"].read_text()
    assert f"Trial {best.number} of the study made" in words
    assert "fitted on the\nlabels `tail`" in words


def test_a_study_of_best_epochs_exports_the_epoch_that_validation_chose(trained, tmp_path):
    record, _ = trained
    item = record.best()
    folder = record.trial_folder(item.number)
    copy = shutil.copytree(folder, tmp_path / "trial")
    for last in copy.glob("checkpoint-*.safetensors"):
        last.unlink()
    known = {"digest": item.digest, "folder": copy}
    recipe = recipes.parse(dict(item.recipe))
    images = functools.partial(same_data.require_here, record, tmp_path)
    _, chosen = portable.load(recipe, None, images, best=True, **known)
    kept = checkpoint.best(folder, recipe.digest)
    assert all(torch.equal(chosen[name], kept.method[name]) for name in kept.method)
    with pytest.raises(EnvironmentError, match="holds none"):
        portable.load(recipe, None, images, best=False, **known)


def test_a_folder_with_something_in_it_is_refused(trained, exported):
    record, _ = trained
    with pytest.raises(InputError, match="must be new or empty"):
        export.export(record, record.best(), exported["load.py"].parent, root=exported["load.py"])


@pytest.mark.parametrize(("number", "reason"), [(9, "got 9; there are 0, 1"), (1, "is failed")])
def test_a_trial_that_cannot_be_exported_is_named(trained, number, reason):
    with pytest.raises(InputError, match=reason):
        export.chosen(trained[0], number)


def test_a_trial_without_a_checkpoint_is_named(tmp_path):
    record = made.study(tmp_path, trials=5, failed=(), tables=False)
    with pytest.raises(EnvironmentError, match="must hold a checkpoint, but holds none; train it"):
        export.export(record, record.best(), tmp_path / "out", root=tmp_path)
    last = record.ranking()[-1]
    with pytest.raises(EnvironmentError) as removed:
        export.export(record, last, tmp_path / "out", root=tmp_path)
    error = str(removed.value)
    assert "raylt removed it once the trial was over: `study.checkpoints: top` keeps" in error
    assert "`study.checkpoints: all` in a new study all" in error
    assert f"--study made-trial-{last.number} --data-of made" in error
    assert not (tmp_path / "out").exists()
    (record.trial_folder(last.number) / checkpoint_names.checkpoint(1)).write_bytes(b"damaged")
    with pytest.raises(EnvironmentError, match="must hold a whole checkpoint of this recipe"):
        export.export(record, last, tmp_path / "out", root=tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_registered_model_gives_the_same_logits(
    trained, exported, tmp_path, store, monkeypatch, capfd
):
    from mlflow import MlflowClient, pytorch

    from raylt.study.tracking import tracker

    record, _ = trained
    best = record.best()
    with pytest.raises(InputError, match="must have a run"):
        export.register(record, best, root=tmp_path, uri=store, name="digits")
    mirror = tracker.open_mirror(record, uri=store, artifacts=tmp_path / "files", command="")
    mirror.trial(best.number, interrupted=False)
    client = MlflowClient(tracking_uri=store)
    fact = record.facts[f"mlflow:trial/{best.number}"]
    run = fact["run"]
    # The store may have had another place when the run was sent.
    record.note(f"mlflow:trial/{best.number}", {**fact, "uri": "sqlite:////elsewhere/mlflow.db"})
    capfd.readouterr()
    before = client.get_run(run).info
    assert export.register(record, best, root=tmp_path, uri=store, name="digits") == 1
    assert capfd.readouterr().out == ""
    after = client.get_run(run).info
    assert (after.status, after.end_time) == (before.status, before.end_time)
    # What else this process does with MLflow goes where it went before.
    assert "MLFLOW_TRACKING_URI" not in os.environ
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    images = torch.rand(5, 1, 8, 8)
    loaded = pytorch.load_model("models:/digits/1")
    logits, _ = torch.export.load(exported["model.pt2"]).module()(images)
    assert torch.allclose(loaded(images), logits, atol=1e-5)


def test_the_verb_writes_the_files(trained, tmp_path, capfd):
    record, _ = trained
    words = ["export", "made", str(tmp_path / "out"), "--runs", str(record.folder.parent)]
    assert cli.run(words) == 0
    written = capfd.readouterr().out.split()
    assert sorted(path.rpartition("/")[2] for path in written) == [
        "README.md",
        "load.py",
        "model.pt2",
        "recipe.yaml",
        "weights.safetensors",
    ]
    assert cli.run(words) == 2
    assert "must be new or empty" in capfd.readouterr().err
