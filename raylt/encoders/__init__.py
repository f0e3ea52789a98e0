"""One file, one family of encoders: its `NAMES`, and `build`; torchvision's and timm's beside."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylt import plugins
from raylt.encoders import _libraries
from raylt.encoders._base import EncoderConfig
from raylt.plugins import outside
from raylt.schema import EnvironmentError, InputError, RayltError

if TYPE_CHECKING:
    from torch import nn

    from raylt.encoders._base import Network
    from raylt.nn.encoder import Encoder

__all__ = ["EncoderConfig", "build", "known", "names", "require_usable", "sha256", "untrained"]

known = _libraries.known
names = _libraries.own_names


def build(
    encoder: str | EncoderConfig,
    *,
    channels: int,
    size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    root: Path = Path(),
) -> Encoder:
    """An encoder with its first weights; random ones come from torch's generator.

    Args:
        channels: Channels of an image; grey ones become three alike where a library's network
            takes three.
        mean: Mean of each channel of the dataset, for pixels in [0, 1].
        std: Standard deviation of each channel of the dataset, for pixels in [0, 1].
        root: Folder that a file of weights is below.

    Raises:
        InputError: it cannot be made, does not take images of this size, or the file of weights is
            not its own.
        EnvironmentError: its library is not installed, or its weights cannot be downloaded.
    """
    # A recipe checks names on machines where importing torch would take most of the time.
    from raylt.encoders import _weights
    from raylt.nn.encoder import Encoder, width_of, without_chance

    config = EncoderConfig(name=encoder) if isinstance(encoder, str) else encoder
    wanted, classifier = None, ()
    if _libraries.library(config.name):
        network = _of_library(config, size)
        module, classifier = network.module, network.classifier
        wanted = (network.mean, network.std)
        mean, std = (mean * 3, std * 3) if channels == 1 else (mean, std)
        channels = 3
        without_chance(module)
    elif config.name in (families := _libraries.families()):
        family = plugins.module("encoders", families[config.name])
        module = family.build(config.name, channels=channels, size=size)
        classifier = ("fc",)
    else:
        module = _of_user(config.name, channels=channels, size=size)
    width = width_of(module, str(config), channels=channels, size=size)
    if config.weights is not None:
        wanted = _weights.load(module, root / config.weights, classifier=classifier) or wanted
    if wanted is not None and config.begins_trained:
        mean, std = wanted
    if config.mean is not None and config.std is not None:
        mean, std = config.mean, config.std
    _require_channels(mean, std, channels)
    return Encoder(module, width=width, mean=mean, std=std, frozen=config.freeze)


def untrained(encoder: str | EncoderConfig) -> str | EncoderConfig:
    """The same encoder for weights that a checkpoint has: nothing is downloaded or read."""
    if isinstance(encoder, str):
        return encoder
    return encoder.model_copy(update={"pretrained": False, "weights": None})


def sha256(encoder: EncoderConfig, root: Path) -> str | None:
    """Of the file of weights below `root`; None where there is none."""
    if encoder.weights is None:
        return None
    from raylt.encoders import _weights

    with _weights.file(root / encoder.weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_usable(name: str) -> None:
    """Refuse an encoder that cannot be built here, as far as that is seen without building it.

    Raises:
        EnvironmentError: its library is not installed.
        InputError: it is the user's own, and cannot be imported or does not take what it is given.
    """
    _libraries.require_installed(name)
    if not _libraries.library(name) and name not in _libraries.families():
        _maker(name)


def _maker(name: str) -> Any:
    """The user's own class or function that makes an encoder."""
    maker = plugins.chosen("encoders", name)
    try:
        inspect.signature(maker).bind(channels=3, size=32)
    except TypeError as error:
        raise InputError(
            f"encoder: {name} must accept the keywords channels and size, both whole numbers, as "
            f"in {name.rpartition(':')[2]}(channels=3, size=32), but does not: {error}; mend its "
            f"arguments"
        ) from error
    return maker


def _of_user(name: str, *, channels: int, size: int) -> nn.Module:
    from torch import nn

    maker = _maker(name)
    try:
        module = maker(channels=channels, size=size)
    except Exception as error:
        raise InputError(
            f"encoder: {name}(channels={channels}, size={size}) must make a network, but fails: "
            f"{outside.place(error)}{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        ) from error
    if not isinstance(module, nn.Module):
        raise InputError(
            f"encoder: {name} must make a torch.nn.Module, but made {type(module).__name__}; "
            f"return the network"
        )
    return module


def _of_library(config: EncoderConfig, size: int) -> Network:
    _libraries.require_installed(config.name)
    source, _, name = config.name.partition("/")
    library: Any = importlib.import_module(f"raylt.encoders._{source}")
    try:
        return library.build(name, pretrained=config.pretrained, size=size)
    except RayltError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if config.pretrained:
            raise EnvironmentError(
                f"the weights of {config.name} must be at hand or be downloaded, but they are not "
                f"({reason}); download them where there is a network, or name a file with "
                f"encoder.weights"
            ) from error
        raise InputError(
            f"encoder: {config.name} must take images of {size}x{size} pixels, but cannot be "
            f"built for them ({reason}); change size"
        ) from error


def _require_channels(mean: tuple[float, ...], std: tuple[float, ...], channels: int) -> None:
    for key, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            raise InputError(
                f"encoder.{key} must have {channels} numbers, one for each channel, but has "
                f"{len(values)}; give all of them"
            )
