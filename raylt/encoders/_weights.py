"""Weights from a file into a network: by name, and every one of them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from raylt.schema import InputError

_EXPORTED = "weights.safetensors"
"""The weights in a folder that `raylt export` wrote."""
_SHOWN = 5

State = Mapping[str, Tensor]
Normalisation = tuple[tuple[float, ...], tuple[float, ...]]


def load(network: nn.Module, path: Path, *, classifier: Sequence[str]) -> Normalisation | None:
    """Put the weights of a file into a network; returns mean and std where the file has them.

    The network may stand under a prefix in the file, as `module.` or `encoder.network.`; what
    stands outside of it is left alone.

    Args:
        path: The file, or the folder of an exported model.
        classifier: Paths of the layers that the network had; the file may have them.

    Raises:
        InputError: the file cannot be read, or its weights are not those of the network.
    """
    path = file(path)
    state = _read(path)
    wanted = network.state_dict()
    prefix = max(
        _prefixes(state, wanted), key=lambda start: sum(start + key in state for key in wanted)
    )
    inside = {key.removeprefix(prefix): x for key, x in state.items() if key.startswith(prefix)}
    lost = [key for key in wanted if key not in inside]
    # The count of batches is not in files of old versions of torch, and nothing depends on it.
    lost = [key for key in lost if not key.endswith("num_batches_tracked")]
    heads = tuple(f"{head}." for head in classifier)
    odd = [key for key in inside if key not in wanted and not key.startswith(heads)]
    shapes = [
        f"{key} {_shape(inside[key])} instead of {_shape(wanted[key])}"
        for key in wanted
        if key in inside and inside[key].shape != wanted[key].shape
    ]
    kinds = {"lacks": lost, "has beside them": odd, "has": shapes}
    wrong = [f"{kind} {_first(keys)}" for kind, keys in kinds.items() if keys]
    if wrong:
        raise InputError(
            f"encoder.weights must hold those of the encoder, but {path} {'; '.join(wrong)}; "
            f"name the encoder and the size that they were trained with"
        )
    network.load_state_dict({key: inside[key] for key in wanted if key in inside}, strict=False)
    return _normalisation(state, prefix)


def file(path: Path) -> Path:
    """The file of weights at a path, which may be the folder of an exported model."""
    return path / _EXPORTED if path.is_dir() else path


def _read(path: Path) -> State:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return _state(torch.load(path, map_location="cpu", weights_only=True), path)
    except (
        OSError,
        SafetensorError,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
    ) as error:
        text = " ".join(str(error).split())[:120]
        reason = getattr(error, "strerror", None) or text or "it ends too early"
        raise InputError(
            f"encoder.weights must name safetensors, a state dict or an exported model below the "
            f"data root, but {path} cannot be read as one ({reason}); write one with "
            f"`torch.save(model.state_dict(), FILE)`"
        ) from error


def _state(content: Any, path: Path) -> State:
    """The state dict in a file: all of it, or the first that it holds under some name."""
    candidates = [content, *content.values()] if isinstance(content, dict) else []
    for inner in candidates:
        if isinstance(inner, dict):
            tensors = {str(k): x for k, x in inner.items() if isinstance(x, Tensor)}
            if tensors:
                return tensors
    raise InputError(
        f"encoder.weights must hold a state dict, but {path} has none; write it with "
        f"`torch.save(model.state_dict(), FILE)`"
    )


def _prefixes(state: State, wanted: State) -> list[str]:
    """What the names of the network may begin with in the file; "" among them."""
    last = list(wanted)[:3]
    starts = [key.removesuffix(name) for name in last for key in state if key.endswith(name)]
    return ["", *(start for start in dict.fromkeys(starts) if start.endswith("."))]


def _normalisation(state: State, prefix: str) -> Normalisation | None:
    """What an encoder of raylt keeps beside its network."""
    outer = prefix.removesuffix("network.")
    if outer == prefix or not {f"{outer}mean", f"{outer}std"} <= state.keys():
        return None
    mean, std = (tuple(state[outer + name].flatten().tolist()) for name in ("mean", "std"))
    return mean, std


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _first(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
