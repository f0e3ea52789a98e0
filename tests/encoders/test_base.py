import pytest
from pydantic import ValidationError

from raylt import recipe
from raylt.encoders import EncoderConfig, untrained

VALUES = {
    "data": {"name": "digits"},
    "method": {"name": "sdclr"},
    "optimizer": {"lr": 0.1, "batch_size": 64},
    "epochs": 2,
}


def digest(encoder):
    return recipe.parse({**VALUES, "encoder": encoder}).digest


def test_a_name_and_a_mapping_with_nothing_but_a_name_are_the_same_recipe():
    # The digest of version 0.1.0.
    assert digest("small") == digest({"name": "small"}) == "9263aef0ed2c1b13"
    assert digest({"name": "small", "pretrained": False}) == "9263aef0ed2c1b13"
    trained = digest({"name": "timm/test_vit", "pretrained": True})
    assert trained != digest("timm/test_vit") != digest("small")


def test_a_recipe_with_a_mapping_reads_back_from_its_own_values():
    chosen = {"name": "resnet18", "weights": "w.pt", "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1.0]}
    first = recipe.parse({**VALUES, "encoder": chosen})
    for values in (first.model_dump(mode="json"), first.model_dump()):
        assert recipe.parse(values) == first
        assert recipe.parse(values).digest == first.digest
    assert str(first.encoder) == "resnet18"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "small", "pretrained": True}, "pretrained must be false for small"),
        ({"name": "small", "freeze": True}, "freeze must be false .* begins at random"),
        (
            {"name": "timm/test_vit", "pretrained": True, "weights": "x"},
            "weights must be left out beside pretrained",
        ),
        ({"name": "small", "mean": [0.5]}, "std must be given beside mean"),
        ({"name": "small", "mean": [0.5], "std": [0]}, "std must be > 0, but got 0"),
        ({"name": "smal"}, "must be one of small.*did you mean 'small'"),
    ],
)
def test_what_makes_no_sense_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        EncoderConfig(**values)


def test_for_a_checkpoint_nothing_is_to_be_read_or_downloaded():
    assert untrained("small") == "small"
    bare = untrained(EncoderConfig(name="timm/test_vit", pretrained=True, freeze=True))
    assert not bare.begins_trained
    assert bare.freeze
