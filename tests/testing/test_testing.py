"""raylt's own plug-ins keep the contracts that it offers to the authors of others."""

import sys

import pytest

from raylt import encoders, plugins
from raylt.plugins import outside
from raylt.testing import DatasetContract, EncoderContract, MethodContract

# The others read files that are not at hand here.
DRAWN = ("digits",)

for name in plugins.files("methods"):
    globals()[f"TestMethod_{name}"] = type(
        f"TestMethod_{name}", (MethodContract,), {"plugin": name}
    )
for name in DRAWN:
    globals()[f"TestDataset_{name}"] = type(
        f"TestDataset_{name}",
        (DatasetContract,),
        {"plugin": name, "settings": ({}, {"imbalance": 5.0})},
    )
for name in (*encoders.names(), "torchvision/resnet18", "timm/test_vit", "timm/test_convnext"):
    globals()[f"TestEncoder_{name}"] = type(
        f"TestEncoder_{name}", (EncoderContract,), {"plugin": name}
    )
del name, MethodContract, DatasetContract, EncoderContract


def test_a_plugin_that_breaks_the_contract_fails(tmp_path):
    (tmp_path / "noisy.py").write_text(
        "from torch import nn\n\n\n"
        "class Noisy(nn.Sequential):\n"
        "    def __init__(self, *, channels, size):\n"
        "        super().__init__(nn.Conv2d(channels, 4, size), nn.Flatten())\n"
        "    def forward(self, images):\n"
        "        return nn.functional.dropout(super().forward(images)[:, :4])\n"
    )
    outside.use(tmp_path)
    from raylt.testing import EncoderContract

    class Mine(EncoderContract):
        plugin = "noisy:Noisy"

    with pytest.raises(AssertionError):
        Mine().test_nothing_is_drawn_after_the_weights()
    outside.use(tmp_path / "nothing")
    assert "noisy" not in sys.modules
