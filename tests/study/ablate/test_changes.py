import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt import space as spaces
from raylt.study.ablate.changes import between, changes

SPACE = """
study: {{name: made, trials: 2, require: {require}, baseline: {{source: b, values: {baseline}}}}}
recipe:
  data: {{name: digits, imbalance: 20}}
  method:
    name: bcl
    temperature: {{low: 0.05, high: 1.0}}
    classifier: {{choices: [linear, cosine]}}
    cosine_scale: {{low: 10.0, high: 60.0, when: "method.classifier == 'cosine'"}}
    tau: {{low: 0.0, high: 2.0}}
  encoder: small
  optimizer: {{lr: {{low: 0.01, high: 1.0}}, batch_size: 64}}
  epochs: 2
"""
BEFORE = {"temperature": 0.1, "classifier": "linear", "tau": 1.0}
AFTER = {"temperature": 0.2, "classifier": "cosine", "cosine_scale": 20.0, "tau": 1.0}


def point(values, lr=0.1):
    return {**{f"method.{key}": value for key, value in values.items()}, "optimizer.lr": lr}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The space under conditions, each made once."""
    folder, known = tmp_path_factory.mktemp("spaces"), {}

    def make(*require):
        if require not in known:
            path = folder / f"{len(known)}.yaml"
            text = SPACE.format(require=list(require), baseline=point(BEFORE))
            path.write_text(text.replace("True", "true"))
            known[require] = spaces.load(path, [])
        return known[require]

    return make


def test_each_leaf_that_differs_is_a_change_and_a_dependent_one_goes_with_its_condition(opened):
    first, two = changes(opened(), point(BEFORE), point(AFTER))
    assert (first.name, first.words, first.reason) == ("temperature", "temperature 0.1 -> 0.2", "")
    assert two.name == "classifier + cosine_scale"
    assert two.words == "classifier linear -> cosine, cosine_scale none -> 20"
    assert two.reason == "one depends on the other"


def test_a_dependent_leaf_that_both_have_is_a_change_of_its_own(opened):
    after = point({**AFTER, "cosine_scale": 30.0})
    (only,) = changes(opened(), point({**AFTER}), after)
    assert only.paths == ("method.cosine_scale",)


def test_leaves_that_the_space_refuses_alone_go_together(opened):
    space = opened("method.tau < 10 * method.temperature + 0.1")
    before, after = point(BEFORE), point({**BEFORE, "temperature": 0.2, "tau": 2.0}, lr=0.5)
    both, lr = changes(space, before, after)
    assert both.name == "temperature + tau"
    assert both.reason == "the space asks for `method.tau < 10 * method.temperature + 0.1`"
    assert lr.name == "lr"
    for taken in ([both], [lr]):
        assert between(space, before, after, taken)[1] == ""


def test_nothing_differs_in_equal_points_and_a_seed_is_no_change(opened):
    assert changes(opened(), point(AFTER), point(AFTER)) == ()


def test_what_the_recipe_refuses_is_told(opened, monkeypatch):
    space = opened()
    chosen = changes(space, point(BEFORE), point(AFTER))
    monkeypatch.setattr(type(space), "refusal", lambda self, point: ("method.tau", "must not"))
    assert "must not" in between(space, point(BEFORE), point(AFTER), chosen[:1])[1]


@st.composite
def points(draw):
    values = {
        "temperature": draw(st.sampled_from([0.1, 0.2])),
        "classifier": draw(st.sampled_from(["linear", "cosine"])),
        "tau": draw(st.sampled_from([0.5, 1.0, 2.0])),
    }
    if values["classifier"] == "cosine":
        values["cosine_scale"] = draw(st.sampled_from([20.0, 30.0]))
    return point(values, lr=draw(st.sampled_from([0.1, 0.5])))


@given(points(), points(), st.booleans())
def test_any_changes_make_a_point_of_the_space_and_all_of_them_the_other_end(
    opened, before, after, bound
):
    condition = "method.tau <= 10 * method.temperature"
    space = opened(condition) if bound else opened("method.tau < 9")
    if not (space.allows(before) and space.allows(after)):
        return
    result = changes(space, before, after)
    assert between(space, before, after, ()) == (before, "")
    assert between(space, before, after, result) == (after, "")
    paths = [path for change in result for path in change.paths]
    assert len(paths) == len(set(paths))
    for change in result:
        others = [other for other in result if other is not change]
        assert between(space, before, after, [change])[1] == ""
        assert between(space, before, after, others)[1] == ""
    # Two sets of changes never make one point.
    sets = [c for n in range(len(result) + 1) for c in itertools.combinations(result, n)]
    made = [str(sorted(between(space, before, after, taken)[0].items())) for taken in sets]
    assert len(set(made)) == len(sets)
