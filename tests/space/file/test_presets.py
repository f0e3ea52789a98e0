"""Values that belong together, chosen by one word."""

from pathlib import Path

import pytest

from raylt import space
from raylt.schema import InputError
from raylt.space import overview, revision

TEXT = """
study:
  name: a
  {preset}
  presets:
    official: {{method.head_depth: 3, evaluation.probe: sgd, evaluation.early_falls: true}}
    small: {{method.prune: 0.5}}
recipe:
  data: {{name: digits}}
  method: {{name: sdclr, prune: {{low: 0.1, high: 0.9}}}}
  encoder: small
  optimizer: {{lr: 0.1, batch_size: 64}}
  epochs: 2
"""


def load(tmp_path, *words, preset=""):
    path = tmp_path / "space.yaml"
    path.write_text(TEXT.format(preset=preset), "utf-8")
    return space.load(path, words)


def known(result, *paths):
    return tuple(result.known[path] for path in paths)


PATHS = ("method.head_depth", "evaluation.probe", "evaluation.early_falls")


def test_without_a_word_a_preset_does_nothing(tmp_path):
    assert known(load(tmp_path), *PATHS) == (2, "lbfgs", False)


@pytest.mark.parametrize("how", ["file", "command line"])
def test_its_values_stand_in_the_recipe(tmp_path, how):
    plain = load(tmp_path)
    words, line = ([], "preset: official") if how == "file" else (["study.preset=official"], "")
    loaded = load(tmp_path, *words, preset=line)
    assert known(loaded, *PATHS) == (3, "sgd", True)
    assert loaded.digest != plain.digest
    assert "preset     official; there is official, small" in overview.text(loaded)
    assert "preset     none; there is official, small" in overview.text(plain)


def test_a_preset_may_close_a_leaf(tmp_path):
    loaded = load(tmp_path, "study.preset=small")
    assert loaded.leaves == ()
    assert loaded.known["method.prune"] == 0.5


def test_the_command_line_overrules_a_preset_for_good(tmp_path):
    loaded = load(tmp_path, "study.preset=official", "method.head_depth=2")
    assert known(loaded, *PATHS) == (2, "sgd", True)
    assert any(
        "method.head_depth overrules 3 of the preset official" in w for w in loaded.warnings
    )
    # What a study keeps is read without its command line.
    (tmp_path / "kept.yaml").write_text(loaded.text, "utf-8")
    kept = space.load(tmp_path / "kept.yaml")
    assert (kept.known, kept.digest) == (loaded.known, loaded.digest)
    # Another method has none of these hyperparameters.
    other = load(tmp_path, "study.preset=official", "method={name: supcon}")
    assert other.known["method.name"] == "supcon"


def test_another_preset_is_another_recipe(tmp_path):
    changes = revision.changes(load(tmp_path), load(tmp_path, "study.preset=official"))
    refused = {change.path for change in changes if change.refusal}
    assert refused == set(PATHS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["study.preset=offical"], "did you mean 'official'"),
        (["study.preset=3"], "study.preset: must be a text"),
        (["study.preset=a", "study.presets={}"], "leave it out, for there is none"),
        (["study.preset=a", "study.presets=7"], "study.presets: must be a mapping"),
        (["study.preset=a", "study.presets={a: {method.depth: 3}}"], "method.depth"),
        (["study.preset=a", "study.presets={a: {method.head_depth: 7}}"], "method.head_depth"),
    ],
)
def test_what_is_no_preset_is_refused(tmp_path, words, message):
    with pytest.raises(InputError) as raised:
        load(tmp_path, *words)
    assert message in str(raised.value)


def test_a_wrong_value_is_shown_where_it_stands(tmp_path):
    path = Path(tmp_path, "wrong.yaml")
    path.write_text(TEXT.format(preset="preset: official").replace("depth: 3", "depth: 7"))
    with pytest.raises(InputError, match=r"wrong\.yaml:6: method\.head_depth"):
        space.load(path)
