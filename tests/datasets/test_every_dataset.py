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
    # What `raylt space` shows beside a field is the string under it.
    assert [name for name, field in fields.items() if not field.description] == []


def test_configs_need_no_heavy_import():
    program = (
        "import sys; from raylt import plugins\n"
        "for name in plugins.names('datasets'): plugins.config('datasets', name)\n"
        "heavy = {'torch', 'sklearn', 'PIL', 'ray', 'optuna', 'mlflow'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
