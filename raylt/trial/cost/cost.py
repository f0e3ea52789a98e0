"""What a run of a recipe takes in time, memory and disk, from a few real steps of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from raylt.plugins import outside
from raylt.recipe import Recipe
from raylt.schema import EnvironmentError

_PATIENCE = 900.0
"""Seconds that the measurement of one recipe may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What was measured of one recipe, alone on its device."""

    start: float
    """Seconds before the first step: images, model, first kernels."""
    epoch: float
    """Seconds of training, an epoch."""
    score: float
    """Seconds of one evaluation."""
    save: float
    """Seconds of writing one checkpoint."""
    disk: int
    """Bytes of the checkpoints that are kept of a run."""
    memory: int
    """Bytes of the host's memory that the process held at most."""
    gpu_memory: int
    """Peak bytes of the GPU's memory, its context included; 0 without one."""
    gpu_size: int
    """Bytes that the GPU has; 0 without one."""
    gpu_busy: float
    """Share of the training time in which the GPU worked; 0 without one."""
    device: str
    """`cpu`, or the GPU's name."""
    steps: str = ""
    """What a step is, on which machine, and how it is computed; "" if version 0.1.0 measured."""

    def seconds(self, recipe: Recipe) -> float:
        """Wall-clock time of a whole run whose steps are those that were measured."""
        scores = -(-recipe.epochs // recipe.evaluation.every)
        return self.start + recipe.epochs * self.epoch + scores * (self.score + self.save)


def measure_apart(recipe: Recipe, *, root: Path, runs: Path, threads: int, gpu: bool) -> Cost:
    """Train a few steps of a recipe in a process of its own and look at what they take.

    The process has the whole device to itself, and its memory is that of one trial; nothing of
    it stays.

    Args:
        runs: Folder of all studies, which share how their steps are computed.
        gpu: Whether it may use a GPU, where there is one.

    Raises:
        EnvironmentError: it failed, or it took too long.
    """
    task = json.dumps(
        {
            "recipe": recipe.model_dump(mode="json"),
            "root": str(root.resolve()),
            "runs": str(runs.resolve()),
            "modules": outside.folder(),
        }
    )
    command = [sys.executable, "-m", "raylt.trial.cost.measure"]
    hidden = {} if gpu else {"CUDA_VISIBLE_DEVICES": ""}
    try:
        done = subprocess.run(
            command,
            input=task,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), **hidden},
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentError(
            f"measuring a few steps of {_named(recipe)} took more than {_PATIENCE / 60:.0f} "
            f"minutes; choose a smaller model, or do without --measure and pack: auto"
        ) from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise EnvironmentError(
            f"measuring a few steps of {_named(recipe)} failed: "
            f"{lines[-1] if lines else f'exit code {done.returncode}'}"
        )
    answer = json.loads(done.stdout.splitlines()[-1])
    if "failure" in answer:
        raise EnvironmentError(answer["failure"])
    return Cost(**answer)


def _named(recipe: Recipe) -> str:
    return f"{recipe.method.name} with batch size {recipe.optimizer.batch_size}"
