"""torchvision's classifiers without their last layer."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision import models

from raylt.encoders._base import Network
from raylt.schema import InputError

_SIZED = {"vit_": "image_size", "maxvit": "input_size"}
"""How those say the size of their images that are built for one."""
_AUXILIARY = ("googlenet", "inception_v3")
"""They have a second classifier in the middle."""


def build(name: str, *, pretrained: bool, size: int) -> Network:
    """A network for normalised images of three channels.

    Raises:
        InputError: the weights are for images of another size.
    """
    weights: Any = models.get_model_weights(name)["DEFAULT"]
    preset = weights.transforms()
    module = models.get_model(
        name,
        weights=_for_size(name, weights, size) if pretrained else None,
        progress=False,
        **_keywords(name, size, pretrained=pretrained),
    )
    classifier = _last_layer(module)
    parent, _, last = classifier.rpartition(".")
    setattr(module.get_submodule(parent), last, nn.Identity())
    return Network(
        module=module,
        classifier=(classifier, "AuxLogits", "aux1", "aux2"),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def _for_size(name: str, weights: Any, size: int) -> Any:
    wanted = weights.meta["min_size"][0]
    if name.startswith(tuple(_SIZED)) and wanted != size:
        raise InputError(
            f"size must be {wanted} for the weights of torchvision/{name}, but got {size}; set "
            f"size: {wanted}, or take a transformer of timm, which fits its weights to any size"
        )
    return weights


def _keywords(name: str, size: int, *, pretrained: bool) -> dict[str, Any]:
    if name in _AUXILIARY:
        return {"aux_logits": False, **({} if pretrained else {"init_weights": True})}
    for start, keyword in _SIZED.items():
        if name.startswith(start):
            return {keyword: size if keyword == "image_size" else (size, size)}
    return {}


def _last_layer(module: nn.Module) -> str:
    """Path of the classifier: the last layer with weights that are no norm's."""
    layers = [p for p, m in module.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return layers[-1]
