"""What every file of raylt/datasets must keep, whoever wrote it."""

import subprocess
import sys

import pytest

from raylt import plugins
from raylt.schema import DatasetConfig

NAMES = plugins.names("datasets")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_named_like_its_dataset_and_says_what_its_images_are(name):
    module = plugins.module("datasets", name)
    assert module.Config.model_fields["name"].default == name
    assert issubclass(module.Config, DatasetConfig)
    assert module.CHANNELS in (1, 3)
    assert callable(module.load)


@pytest.mark.parametrize("name", NAMES)
def test_the_light_config_is_the_config(name):
    light, whole = plugins.config("datasets", name), plugins.module("datasets", name).Config
    fields = light.model_fields
    assert {name: (field.annotation, field.default) for name, field in fields.items()} == {
        name: (field.annotation, field.default) for name, field in whole.model_fields.items()
    }


def test_configs_need_no_heavy_import_and_document_every_field():
    program = """
import sys
from raylt import plugins

for name in plugins.names("datasets"):
    for field, details in plugins.config("datasets", name).model_fields.items():
        assert details.description, (name, field)
heavy = {"torch", "sklearn", "PIL", "ray", "optuna", "mlflow"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)
