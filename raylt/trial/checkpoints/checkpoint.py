"""What a checkpoint holds, written whole or not at all.

One safetensors file for each kept epoch, the last two and the best one: `method.*` and
`optimizer.*` tensors, and in its header the format, the recipe's digest, the epochs done, the
scores so far and a SHA-256 over the tensors. Nothing in it is ever unpickled. The random streams
are functions of (seed, epoch, rank), so there is no generator to save.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from raylt.schema import InputError
from raylt.trial.checkpoints import checkpoint_names
from raylt.trial.checkpoints.checkpoint_names import BEST

FORMAT = 1
KEPT = 2
"""Newest checkpoints kept of a run: one more in case the newest is damaged."""
_KEY = "raylt"
"""Where the header of a file of safetensors has ours."""
_ROOM = 16 * 2**10
"""Bytes left for the scores of one epoch, which take a few hundred."""


class Damaged(Exception):
    """A checkpoint file is cut short, altered, or not a checkpoint."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run after `epoch` finished epochs."""

    epoch: int
    digest: str
    """The digest of the recipe that was trained."""
    history: tuple[dict[str, float], ...]
    """Everything that was reported, in order."""
    tensors: dict[str, Tensor]

    @property
    def method(self) -> dict[str, Tensor]:
        """The state of the method."""
        return _part(self.tensors, "method.")

    def restore(self, method: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put the saved state into `method` and `optimizer`, in place."""
        method.load_state_dict(self.method)
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _part(self.tensors, "optimizer.").items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        for parameter, values in optimizer.state.items():
            for name, value in values.items():
                # The fused kernels walk through memory: what belongs to a channels-last weight
                # must lie as the weight does.
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    values[name] = torch.empty_like(parameter).copy_(value)


class Keep(Protocol):
    """Gives a checkpoint its scores and its name; see `writing`."""

    def __call__(self, history: Sequence[dict[str, float]], *, best: bool) -> Path:
        """Returns the file, which is complete and on the disk.

        Args:
            history: Everything that was reported, in order.
            best: Whether this is the best epoch so far: then it stands under that name too, until
                a better one comes.
        """
        ...


@contextlib.contextmanager
def writing(
    folder: Path,
    *,
    epoch: int,
    digest: str,
    method: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: Sequence[dict[str, float]],
) -> Generator[Keep]:
    """Write the checkpoint of `epoch` into `folder` while the epoch is scored in the `with`.

    What is kept is the state at the beginning: the tensors are copied, and a thread adds them up
    and lays them down in a file without a name of its own. `keep` waits for it, writes the scores
    into the place left for them, and only then gives the file its name and removes all but the
    newest `KEPT`. So an epoch that is reported after `keep` has its checkpoint on the disk,
    whenever the process dies. Without a call of `keep` nothing stays.

    Args:
        folder: The trial's folder.
        epoch: Epochs done.
        digest: Of the recipe.
        method: What is trained.
        optimizer: Its optimizer.
        history: What was reported before, by which the place for the scores is measured.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / checkpoint_names.checkpoint(epoch)
    draft = path.with_suffix(f".{os.getpid()}.draft")
    tensors = _tensors(method, optimizer)
    header = {"format": FORMAT, "epoch": epoch, "digest": digest}
    room = len(_quoted({**header, "history": list(history)})) + _ROOM

    def keep(history: Sequence[dict[str, float]], *, best: bool) -> Path:
        sha256 = laid_down.result()
        text = _quoted({**header, "history": list(history), "sha256": sha256})
        if len(text) > room:
            _lay_down(tensors, draft, room=len(text))
        _fill_in(draft, text)
        if best:
            # First: a run that is killed in between trains this epoch again, and alike.
            _link(draft, folder / BEST)
        draft.replace(path)
        for old in _files(folder)[KEPT:]:
            old.unlink(missing_ok=True)
        return path

    try:
        # At its end the thread is waited for, whatever happened.
        with ThreadPoolExecutor(max_workers=1) as thread:
            laid_down = thread.submit(_lay_down, tensors, draft, room=room)
            yield keep
    finally:
        draft.unlink(missing_ok=True)


def save(
    folder: Path,
    *,
    epoch: int,
    digest: str,
    history: Sequence[dict[str, float]],
    method: nn.Module,
    optimizer: torch.optim.Optimizer,
    best: bool,
) -> Path:
    """`writing` with nothing to do meanwhile."""
    with writing(
        folder, epoch=epoch, digest=digest, method=method, optimizer=optimizer, history=history
    ) as keep:
        return keep(history, best=best)


def _lay_down(tensors: dict[str, Tensor], path: Path, *, room: int) -> str:
    """Write tensors, and a place of `room` bytes for what is known later; their SHA-256."""
    save_file(tensors, path, {_KEY: " " * room})
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return _sha256(tensors)


def _fill_in(path: Path, text: bytes) -> None:
    """Put text into the place that was left for it; the spaces behind it mean nothing in JSON."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        before, mark, _ = file.read(length).partition(f'"{_KEY}":"'.encode())
        assert mark, f"{path} has no place for {_KEY}"
        file.seek(8 + len(before) + len(mark))
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _quoted(header: Mapping[str, object]) -> bytes:
    """What a checkpoint says of itself, as it stands within quotes in a file of safetensors."""
    return json.dumps(json.dumps(header)).encode()[1:-1]


def _tensors(method: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {f"method.{k}": _plain(v) for k, v in method.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = _plain(value)
    return tensors


def read(path: Path) -> Checkpoint:
    """Read and verify one checkpoint file.

    Raises:
        Damaged: the file is cut short, altered, or not a checkpoint.
        InputError: a newer raylt wrote it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise Damaged(f"{path} is no complete checkpoint: {error}") from error
    if header["format"] > FORMAT:
        raise InputError(
            f"{path} must be of format {FORMAT} or older, but is of format {header['format']}; "
            "it was written by a newer raylt: update this one"
        )
    if header["sha256"] != _sha256(tensors):
        raise Damaged(f"{path} was altered: its tensors do not match the recorded SHA-256")
    return Checkpoint(header["epoch"], header["digest"], tuple(header["history"]), tensors)


def latest(folder: Path, *digests: str) -> Checkpoint | None:
    """The newest undamaged checkpoint of a recipe in `folder`, by its digests, or None.

    A damaged file is passed over with a warning that names it; the one before it is taken.

    Raises:
        InputError: the checkpoints in `folder` belong to another recipe.
    """
    for path in _files(folder):
        try:
            checkpoint = read(path)
        except Damaged as error:
            warnings.warn(f"{error}; going back to the checkpoint before it", stacklevel=2)
            continue
        if checkpoint.digest not in digests:
            raise InputError(
                f"{path} must hold recipe {digests[-1]}, but holds recipe {checkpoint.digest}; "
                "choose another folder or remove this one"
            )
        return checkpoint
    return None


def best(folder: Path, *digests: str) -> Checkpoint | None:
    """The checkpoint of the best scored epoch in `folder` of the recipe with one of these digests,
    or None; a damaged file is passed over with a warning that names it."""
    path = folder / BEST
    if not path.is_file():
        return None
    try:
        checkpoint = read(path)
    except Damaged as error:
        warnings.warn(f"{error}; the best epoch is not scored", stacklevel=2)
        return None
    return checkpoint if checkpoint.digest in digests else None


def _link(source: Path, target: Path) -> None:
    """Give a file another name in place of whatever stands there; a copy where links are not."""
    draft = target.with_suffix(f".{os.getpid()}.draft")
    try:
        try:
            os.link(source, draft)
        except OSError:
            shutil.copyfile(source, draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    """Checkpoint files, newest first."""
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if checkpoint_names.epoch_of(p.name)), reverse=True)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _plain(tensor: Tensor) -> Tensor:
    # Contiguous and unshared: channels_last weights and views are laid out anew in the file.
    return tensor.detach().to("cpu", copy=True).contiguous()


def _sha256(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
