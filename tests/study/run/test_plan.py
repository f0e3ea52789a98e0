"""What is refused before Ray starts."""

import importlib.util
import shutil

import pytest
from safetensors.torch import save_file

from raylt import datasets, encoders
from raylt.plugins import outside
from raylt.schema import EnvironmentError, InputError
from raylt.space import strategy
from raylt.study.run import driver, plan
from tests.study.drive import settings, toy
from tests.study.start import made


@pytest.fixture
def unread(monkeypatch):
    """Data that must not be read, for it takes long."""
    monkeypatch.setattr(datasets, "load", lambda *_: pytest.fail("the data was read"))


@pytest.mark.usefixtures("unread")
def test_a_study_that_exists_is_refused_with_the_way_to_continue_it(study, tmp_path):
    study()
    with pytest.raises(InputError, match=r"continue it with `raylt resume toy --runs .*/runs "):
        plan.check(toy(tmp_path), settings(tmp_path))


@pytest.mark.usefixtures("unread")
def test_more_workers_than_cores_are_refused_and_nothing_is_written(tmp_path):
    changes = {"workers": 8, "cpus": 2}
    with pytest.raises(EnvironmentError, match="8 workers"):
        plan.check(toy(tmp_path), settings(tmp_path, **changes))
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    ("overrides", "changes", "error"),
    [
        ((), {"workers": 5, "cpus": 5}, "divide evenly over 5 workers, .* but got 128; try 125"),
        (("study.versus=sdclr",), {}, "must be another method"),
        ((), {"address": "http://head:8265"}, "must be auto or HOST:6379 to search from here"),
        ((), {"address": "ray://head:10001"}, "must not be a Ray Client address"),
    ],
)
def test_what_cannot_be_searched_is_refused(tmp_path, overrides, changes, error):
    with pytest.raises(InputError, match=error):
        plan.check(toy(tmp_path, *overrides), settings(tmp_path, **changes))


@pytest.mark.usefixtures("unread")
def test_a_sampler_that_is_not_installed_is_refused_here_but_may_be_on_a_cluster(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(strategy.importlib.util, "find_spec", lambda _: None)
    space = toy(tmp_path, "study.sampler={name: cmaes}")
    with pytest.raises(EnvironmentError, match="needs the package cmaes"):
        plan.check(space, settings(tmp_path))
    plan.check_space(space, here=False)


def test_copies_of_a_picture_in_two_parts_are_said_before_a_search_begins(
    tmp_path, monkeypatch, capsys
):
    made.folder(tmp_path / "data" / "images", {"a": 8, "b": 6})
    made.folder(tmp_path / "data" / "new", {"a": 2, "b": 2}, size=21)
    (tmp_path / "data" / "images" / "a" / "cut.png").write_text("no image")
    original, copy = (tmp_path / "data" / name for name in ("images/b/2.png", "new/b/again.png"))
    shutil.copy(original, copy)
    data = {"name": "folder", "images": "images", "test_images": "new", "validation": 2}
    planned = plan.check(
        toy(tmp_path, f"data={data | {'broken': 'skip'}}"), settings(tmp_path, quiet=False)
    )
    copies = planned.facts["data"]["copies"]
    assert "1 picture is in more than one part under other names" in copies
    assert str(copy) in copies
    monkeypatch.setattr(driver.lock, "locked", lambda *_, **__: pytest.fail("it started"))
    with pytest.raises(pytest.fail.Exception):
        driver.run(planned)
    assert capsys.readouterr().err.splitlines()[-1] == f"warning: {copies}"


def test_a_plan_knows_its_data(tmp_path):
    space = plan.check(toy(tmp_path), settings(tmp_path))
    assert (space.folder, space.url, space.queue) == (tmp_path / "runs" / "toy", None, ())
    assert (
        space.facts["fingerprint"]
        == datasets.load(
            space.space.at({"method.temperature": 0.2, "method.prune": 0.9}).data, tmp_path
        ).fingerprint
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (("encoder=torchvision/vgg11", "size=16"), InputError, "must take images of 16x16"),
        (
            ("encoder={name: small, weights: lost.safetensors}",),
            InputError,
            r"lost.safetensors cannot be read",
        ),
        (
            ("encoder={choices: [small, torchvision/vgg11]}", "study.baseline=null"),
            InputError,
            "vgg11 must take",
        ),
    ],
)
def test_an_encoder_that_cannot_be_built_is_refused_before_anything_starts(
    tmp_path, overrides, error, message
):
    with pytest.raises(error, match=message):
        plan.check(toy(tmp_path, *overrides), settings(tmp_path))
    assert not (tmp_path / "runs").exists()


def test_a_plan_knows_the_normalisation_that_weights_want(tmp_path):
    network = encoders.build("small", channels=1, size=8, mean=(0.1,), std=(0.7,))
    (tmp_path / "data").mkdir(exist_ok=True)
    state = {f"encoder.{key}": tensor for key, tensor in network.state_dict().items()}
    save_file(state, tmp_path / "data" / "w.safetensors")
    chosen = "encoder={name: small, weights: w.safetensors, freeze: true}"
    (known,) = plan.check(toy(tmp_path, chosen), settings(tmp_path, data=tmp_path / "data")).facts[
        "encoders"
    ]
    assert (known["width"], known["mean"], known["std"]) == (256, [0.1], [0.7])
    assert len(known["sha256"]) == 64


def test_a_library_that_is_missing_is_told_without_reading_the_data(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name == "timm" else find(name)
    )
    space = toy(tmp_path, "encoder=timm/test_vit")
    with pytest.raises(EnvironmentError, match=r"raylt\[timm\]"):
        plan.check_space(space)
    plan.check_space(space, here=False)


@pytest.mark.parametrize(
    ("text", "message", "seen_unbuilt"),
    [
        ("def make(channels)\n", r"importable, .*own_net\.py:1: SyntaxError", True),
        ("def make(channels): ...\n", r"must accept the keywords .* argument 'size'", True),
        ("make = 3\n", r"must accept the keywords .* not a callable", True),
        ("def make(channels, size):\n    lost\n", r"own_net\.py:2: NameError: name", False),
        ("def make(channels, size): ...\n", r"torch\.nn\.Module, but made NoneType", False),
    ],
    ids=["syntax", "arguments", "number", "fails", "nothing"],
)
def test_what_is_wrong_with_an_encoder_of_ones_own_is_told_as_soon_as_it_is_seen(
    tmp_path, text, message, seen_unbuilt
):
    (tmp_path / "own_net.py").write_text(text)
    outside.use(tmp_path)
    space = toy(tmp_path, "encoder=own_net:make")
    if seen_unbuilt:
        with pytest.raises(InputError, match=message):
            plan.check_space(space)
    else:
        plan.check_space(space)
        assert plan.unbuilt(space) == "encoder    own_net:make is built when the search starts"
    with pytest.raises(InputError, match=message):
        plan.check(space, settings(tmp_path))
    outside.use(tmp_path / "nothing")


def test_a_plain_encoder_is_not_said_to_be_built_later(tmp_path):
    assert plan.unbuilt(toy(tmp_path)) is None
