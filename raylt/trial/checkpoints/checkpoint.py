"""What a checkpoint holds, written whole or not at all.

One safetensors file for each kept epoch, the last two and the best one: `method.*` and
`optimizer.*` tensors, and in its header the format, the recipe's digest, the epochs done, the
scores so far and a SHA-256 over the whole file. Nothing in it is ever unpickled. The random
streams are functions of (seed, epoch, rank), so there is no generator to save.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from raylt import scratch
from raylt.schema import InputError
from raylt.trial.checkpoints import checkpoint_file, checkpoint_names
from raylt.trial.checkpoints.checkpoint_file import Damaged, Header
from raylt.trial.checkpoints.checkpoint_names import BEST
from raylt.trial.execution.choice import Execution

KEPT = 2
"""Newest checkpoints kept of a run: one more in case the newest is damaged."""
_ROOM = 16 * 2**10
"""Bytes left for the scores of one epoch, which take a few hundred."""

_log = logging.getLogger("raylt")


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


Keep = Callable[..., Path]
"""Gives a checkpoint its scores and its name, and returns its file; see `keep` in `writing`."""


@contextlib.contextmanager
def writing(
    folder: Path,
    *,
    epoch: int,
    digest: str,
    method: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: Sequence[dict[str, float]],
    execution: Execution | None = None,
) -> Generator[Keep]:
    """Write the checkpoint of `epoch` into `folder` while the epoch is scored in the `with`.

    What is kept is the state at the beginning: the tensors are copied, and a thread adds them up
    and lays them down in a file without a name of its own. `keep` waits for it, writes the scores
    into the place left for them, and only then gives the file its name and removes all but the
    newest `KEPT`. So an epoch that is reported after `keep` has its checkpoint on the disk,
    whenever the process dies. Without a call of `keep` nothing stays.

    Args:
        history: What was reported before, by which the place for the scores is measured.
        execution: How the steps are computed, for a run that goes on from here.
    """
    # No more: where the folder of runs was moved, nothing may grow in its old place.
    folder.mkdir(exist_ok=True)
    path = folder / checkpoint_names.checkpoint(epoch)
    draft = path.with_suffix(f".{os.getpid()}.draft")
    tensors = _tensors(method, optimizer)
    header: dict[str, object] = {"epoch": epoch, "digest": digest}
    if execution is not None:
        header["execution"] = execution.plain
    room = len(checkpoint_file.quoted({**header, "history": list(history)})) + _ROOM

    def keep(history: Sequence[dict[str, float]], *, best: bool) -> Path:
        """The file, complete and on the disk, with everything that was reported in order; that of
        the best epoch so far stands under a second name, until a better one comes."""
        content = laid_down.result()
        text = checkpoint_file.quoted({**header, "history": list(history)})
        if len(text) > room:
            checkpoint_file.lay_down(tensors, draft, room=len(text))
        checkpoint_file.fill_in(draft, text, content)
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
            laid_down = thread.submit(checkpoint_file.lay_down, tensors, draft, room=room)
            yield keep
    finally:
        draft.unlink(missing_ok=True)


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
    header, tensors = checkpoint_file.read(path)
    return Checkpoint(header.epoch, header.digest, header.history, tensors)


def header(folder: Path) -> Header | None:
    """What the newest readable checkpoint in `folder` says of itself, which is not verified."""
    for path in _files(folder):
        with contextlib.suppress(Damaged):
            return checkpoint_file.header(path)
    return None


def latest(folder: Path, *digests: str, method: nn.Module | None = None) -> Checkpoint | None:
    """The newest whole checkpoint of a recipe in `folder`, or None.

    A file that is not whole or does not fit `method` is passed over with a warning that names it;
    the one before it is taken.

    Raises:
        InputError: the checkpoints in `folder` belong to another recipe.
    """
    for path in _files(folder):
        checkpoint = _whole(path, method, instead="the checkpoint before it is taken")
        if checkpoint is None:
            continue
        if checkpoint.digest not in digests:
            raise InputError(
                f"{path} must hold recipe {digests[-1]}, but holds recipe {checkpoint.digest}; "
                "choose another folder or remove this one"
            )
        return checkpoint
    return None


def best(folder: Path, *digests: str, method: nn.Module | None = None) -> Checkpoint | None:
    """As `latest`, the checkpoint of the best scored epoch; one of another recipe is none."""
    path = folder / BEST
    if not os.path.lexists(path):
        return None
    checkpoint = _whole(path, method, instead="the best epoch is not scored")
    return checkpoint if checkpoint and checkpoint.digest in digests else None


def _whole(path: Path, method: nn.Module | None, *, instead: str) -> Checkpoint | None:
    """A checkpoint, or None with a warning where it is not whole or does not fit a method."""
    try:
        checkpoint = read(path)
        if method is not None:
            _require_fit(path, checkpoint.method, method)
    except Damaged as error:
        _log.warning("%s; %s", error, instead)
        return None
    return checkpoint


def _require_fit(path: Path, state: dict[str, Tensor], method: nn.Module) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in method.state_dict().items()}
    wrong = sorted(
        name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name)
    )
    if wrong:
        name = wrong[0]
        raise Damaged(
            f"{path} does not fit the recipe: {name} must be {wanted.get(name)}, but is "
            f"{shapes.get(name)}"
        )


def _link(source: Path, target: Path) -> None:
    """Give a file another name in place of whatever stands there; a copy where links are not."""
    with scratch.draft(target) as draft:
        try:
            os.link(source, draft)
        except OSError:
            shutil.copyfile(source, draft)


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
