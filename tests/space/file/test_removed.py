"""What population based training left in files of 0.1.0: one clear line each."""

import json

import pytest

from raylt import recipe, space
from raylt.schema import InputError
from tests.study.drive import SPACE, toy

REMOVED = "since population based training was removed after version 0.1.0"


@pytest.mark.parametrize("load", [space.load, space.stored])
def test_a_space_of_population_based_training_names_its_line_and_what_to_do(tmp_path, load):
    path = tmp_path / "space.yaml"
    path.write_text(SPACE.replace("name: asha", "name: pbt"))
    with pytest.raises(InputError) as caught:
        load(path)
    (line,) = str(caught.value).splitlines()
    assert "space.yaml:6: study.scheduler.name: must not be pbt, " + REMOVED in line
    assert "write `scheduler: {name: asha}`, or read this study with version 0.1.0" in line


CHANGES = [{"epoch": 2, "values": {"optimizer.lr": 0.2}}]


def test_a_recipe_that_changes_while_it_runs_is_refused(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(f"{SPACE}  changes: {json.dumps(CHANGES)}\n")
    with pytest.raises(InputError, match=rf"space.yaml:\d+: changes: must be left out, {REMOVED}"):
        space.load(path)
    values = toy(tmp_path).at(toy(tmp_path).baseline_point).model_dump(mode="json")
    with pytest.raises(InputError, match=f"recipe.changes: must be left out, {REMOVED}"):
        recipe.parse({**values, "changes": CHANGES})


def test_a_recipe_that_has_no_changes_is_what_it_was(tmp_path):
    loaded = toy(tmp_path)
    values = loaded.at(loaded.baseline_point).model_dump(mode="json")
    before = recipe.parse({**values, "changes": []})
    assert before == recipe.parse(values)
    assert "changes" not in before.model_dump()
    path = tmp_path / "space.yaml"
    path.write_text(f"{SPACE}  changes: []\n")
    again = space.load(path)
    assert again.at(again.baseline_point) == before
