import pytest

from raylt import plugins


@pytest.mark.parametrize("name", plugins.names("schedulers"))
def test_a_file_is_named_like_its_scheduler(name):
    config = plugins.config("schedulers", name)
    assert config.model_validate({"name": name}).name == name
    assert plugins.module("schedulers", name).Config(name=name).name == name
