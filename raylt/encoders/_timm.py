"""timm's models without their classifier."""

from __future__ import annotations

import contextlib
import socket
import urllib.request
from collections.abc import Generator
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import timm
from huggingface_hub import constants

from raylt import plugins
from raylt.encoders._base import Network
from raylt.schema import InputError

_ANSWER = 5.0
"""Seconds that the server of the weights may take to answer."""


def build(name: str, *, pretrained: bool, size: int) -> Network:
    """A network for normalised images of three channels; where its layers depend on the size of
    the images, it is built for theirs, and timm fits published weights to it.

    Raises:
        InputError: nobody publishes weights of it, or none with that tag.
    """
    bare, _, tag = name.partition(".")
    tags = timm.list_pretrained(f"{bare}.*")
    if tag and name not in tags:
        near = plugins.did_you_mean(name, tags)
        raise InputError(f"encoder: timm/{name} must end in a tag of timm's weights{near}")
    published: Any = timm.get_pretrained_cfg(name)
    if pretrained and not (published and published.has_weights):
        raise InputError(
            f"encoder.pretrained must be false for timm/{name}, of which timm has no weights; "
            f"remove it, or name a file with encoder.weights"
        )
    sized: dict[str, Any] = {"img_size": size} if published and published.fixed_input_size else {}
    with _without_waiting() if pretrained else contextlib.nullcontext():
        module: Any = timm.create_model(name, pretrained=pretrained, num_classes=0, **sized)
    classifier = module.pretrained_cfg.get("classifier") or ()
    return Network(
        module=module,
        classifier=(classifier,) if isinstance(classifier, str) else tuple(classifier),
        mean=tuple(module.pretrained_cfg["mean"]),
        std=tuple(module.pretrained_cfg["std"]),
    )


@contextlib.contextmanager
def _without_waiting() -> Generator[None]:
    """Weights come from the cache alone where their server does not answer: timm would ask it for
    a minute."""
    server = urlsplit(constants.ENDPOINT)
    port = server.port or (80 if server.scheme == "http" else 443)
    offline = constants.HF_HUB_OFFLINE
    if not urllib.request.getproxies():
        try:
            socket.create_connection((str(server.hostname), port), timeout=_ANSWER).close()
        except OSError:
            offline = True
    with patch.object(constants, "HF_HUB_OFFLINE", offline):
        yield
