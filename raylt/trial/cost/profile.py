"""Where the time of a training step goes: a few epochs of a recipe, trained here and watched."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity
from torch.profiler import profile as watched

from raylt import scratch
from raylt.recipe import Recipe
from raylt.trial import parts, worker

PREFIX = "raylt/"
"""What the names of the loop's own phases begin with."""
PHASES = ("augmentation", "forward", "backward", "optimizer", "evaluation", "report")
"""`report` is everything between a score and the next epoch: predictions and checkpoint on the
disk, numbers handed over; what Ray then does with them is not the trial's time."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What one phase took over the watched epochs."""

    name: str
    calls: int
    host: float
    """Seconds in which the host was in it."""
    device: float
    """Seconds in which a GPU worked for it; 0 without one."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Epochs of one recipe, taken apart."""

    epochs: int
    """Epochs that were watched; the one before them warmed up."""
    steps: int
    phases: tuple[Phase, ...]
    trace: Path
    """A file for https://ui.perfetto.dev or chrome://tracing."""


class _Enough(Exception):
    """The watched epochs are over."""


def profile(
    recipe: Recipe, *, root: Path, trace: Path, epochs: int, device: str | None
) -> Profile:
    """Train one epoch to warm up and watch the next ones; no study keeps anything of it.

    Every epoch is scored and saved, as the last one of a run is.

    Args:
        recipe: The run; one that is too short is trained longer.
        trace: The file that is written, its folder included.
        device: As for `raylt.trial.worker.work`.
    """
    # Its library complains on standard error of every machine without a GPU.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    every = recipe.evaluation.model_copy(update={"every": 1})
    watch = _watch(device)
    finished = 0

    def report(metrics: dict[str, float]) -> None:
        nonlocal finished
        finished += 1
        if finished == 1:
            watch.start()
        if finished > epochs:
            raise _Enough

    with scratch.folder("profile") as folder:
        try:
            worker.work(
                recipe.model_copy(
                    update={"evaluation": every, "epochs": max(recipe.epochs, 1 + epochs)}
                ),
                root=root,
                folder=folder,
                report=report,
                device=device,
            )
        except _Enough:
            pass
        finally:
            if finished:
                watch.stop()
    trace.parent.mkdir(parents=True, exist_ok=True)
    watch.export_chrome_trace(str(trace))
    phases = _phases(watch)
    steps = next(phase.calls for phase in phases if phase.name == "optimizer")
    return Profile(finished - 1, steps, phases, trace)


def _watch(device: str | None) -> watched:
    activities = [ProfilerActivity.CPU]
    if parts.device_of(device).type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    # Without it torch 2.11 warns of a cycle that never comes.
    return watched(activities=activities, acc_events=True)


def _phases(watch: watched) -> tuple[Phase, ...]:
    phases: dict[str, Phase] = {}
    for average in watch.key_averages():
        name = average.key.removeprefix(PREFIX)
        if name == average.key:
            continue
        # A GPU's share of a phase is an event of its own beside the host's, of the same name.
        before = phases.get(name, Phase(name, 0, 0.0, 0.0))
        phases[name] = dataclasses.replace(
            before,
            calls=max(before.calls, average.count),
            host=before.host + average.cpu_time_total / 1e6,
            device=before.device + average.device_time_total / 1e6,
        )
    return tuple(phases[name] for name in PHASES if name in phases)


def text(profile: Profile) -> str:
    """The table, and where the trace is."""
    total = sum(phase.host for phase in profile.phases)
    on_device = torch.cuda.is_available() and any(phase.device for phase in profile.phases)
    lines = [
        f"{'phase':14}{'calls':>8}{'seconds':>10}{'share':>8}{'ms a call':>11}"
        + (f"{'GPU s':>9}" if on_device else "")
    ]
    for phase in profile.phases:
        line = (
            f"{phase.name:14}{phase.calls:8}{phase.host:10.3f}{phase.host / total:8.1%}"
            f"{1000 * phase.host / phase.calls:11.3f}"
        )
        lines.append(line + (f"{phase.device:9.3f}" if on_device else ""))
    lines += [
        f"{profile.epochs} epoch{'' if profile.epochs == 1 else 's'} of {profile.steps} steps in "
        "all, after one that warmed up; profiling slows small steps down",
        f"Trace: {profile.trace} (open it at https://ui.perfetto.dev)",
    ]
    return "\n".join(lines)
