import pydantic
import pytest

from raylt.sections import Augment, Evaluation, Schedule


@pytest.mark.parametrize("given", [{"name": "step"}, {"per": "epoch"}])
def test_only_a_cosine_per_step_can_be_early(given):
    with pytest.raises(pydantic.ValidationError, match="early must be false but for a cosine"):
        Schedule(early=True, **given)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"probe": "lbfgs", "early_falls": True}, "early_falls must be false"),
        ({"probe": "sgd", "selection": "top-5"}, "selection must be left out"),
    ],
)
def test_a_probe_refuses_what_would_do_nothing(given, complaint):
    with pytest.raises(pydantic.ValidationError, match=complaint):
        Evaluation(**given)
    assert Evaluation(**given | {"probe": "reforward"})


@pytest.mark.parametrize("section", [Augment, Schedule, Evaluation])
def test_every_section_has_defaults_and_explains_each_field(section):
    assert section() == section()
    assert all(field.description for field in section.model_fields.values())
