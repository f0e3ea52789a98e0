import pytest

from raylt import plugins


@pytest.mark.parametrize("name", plugins.names("samplers"))
def test_a_file_is_named_like_its_sampler(name):
    config = plugins.config("samplers", name)
    assert config.model_validate({"name": name}).name == name
    assert plugins.module("samplers", name).Config(name=name).name == name
