"""How many trials run at a time on given machines: computed, so that no two wait for each other.

A trial of several workers needs all of them at once. If more trials started than fit, each could
hold a part of its workers and none could train.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from raylt.schema import EnvironmentError
from raylt.settings import Placement, Trial

_EPSILON = 1e-9
"""Shares such as 0.1 are not exact in binary: ten of them must still fill one GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine of the cluster, by what Ray may book on it."""

    id: str
    """Ray's name of it; "" for this machine before Ray runs."""
    name: str
    address: str
    """The address by which the others know it; "" before Ray runs."""
    cpus: float
    gpus: float
    memory: float = math.inf
    """Bytes; infinite where unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What one trial books."""

    workers: int
    least: int
    """The fewest workers with which it still runs; equal to `workers` unless it is elastic."""
    cpus: float
    """Cores of each worker."""
    gpus: float
    """GPUs of each worker, or a share of one."""
    placement: Placement
    memory: float = 0.0
    """Bytes of each worker; 0 where not measured."""

    @property
    def elastic(self) -> bool:
        """Whether the number of workers follows the machines."""
        return self.least < self.workers

    @property
    def bundle(self) -> dict[str, float]:
        """What each worker books, by the names that Ray uses."""
        return {"CPU": self.cpus, **({"GPU": self.gpus} if self.gpus else {})}

    @property
    def smallest(self) -> Shape:
        """What a trial must have to run at all."""
        return replace(self, workers=self.least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The memory of one trial in bytes, as measured, and how busy it keeps a GPU."""

    memory: float
    gpu_memory: float
    """0 without a GPU."""
    gpu_size: float
    """The memory of a GPU."""
    gpu_busy: float
    """The part of the time in which the GPU works."""


def packed(nodes: Sequence[Node], shape: Shape, need: Need) -> Shape:
    """The shape with which as many trials of one worker run at a time as memory and time allow.

    Trials share a GPU while their memory fits, each has its cores, and fewer would not keep the
    GPU busy: more of them would only wait for each other.
    """
    shape = replace(shape, memory=need.memory)
    with_gpu = [node for node in nodes if node.gpus]
    if not (with_gpu and shape.gpus and need.gpu_size):
        return shape
    cores = min(node.cpus / node.gpus for node in with_gpu)
    fit = min(
        need.gpu_size / need.gpu_memory + _EPSILON,
        cores / shape.cpus + _EPSILON,
        math.ceil(1 / need.gpu_busy - _EPSILON) if need.gpu_busy else math.inf,
    )
    return replace(shape, gpus=1 / max(1, int(fit)))


def alone(nodes: Sequence[Node], shape: Shape) -> Shape:
    """What a trial books so that no other one shares its GPU, or its machine without one."""
    if shape.workers > 1 or shape.gpus >= 1:
        return shape
    if shape.gpus:
        return replace(shape, gpus=1.0)
    most = max(node.cpus for node in nodes)
    return replace(shape, cpus=max(shape.cpus, most), memory=0.0)


def slots(node: Node, shape: Shape) -> int:
    """Workers that fit one machine; a share of a GPU never spans two GPUs."""
    fit = int(node.cpus / shape.cpus + _EPSILON)
    if shape.memory:
        fit = int(min(fit, node.memory / shape.memory + _EPSILON))
    if shape.gpus >= 1:
        return min(fit, int(node.gpus / shape.gpus + _EPSILON))
    if shape.gpus > 0:
        whole, rest = divmod(node.gpus + _EPSILON, 1)
        on_whole = int(whole) * int(1 / shape.gpus + _EPSILON)
        return min(fit, on_whole + int((rest + _EPSILON) / shape.gpus))
    return fit


def concurrent(nodes: Sequence[Node], shape: Shape) -> int:
    """Trials that can hold all of their workers at the same time."""
    free = [slots(node, shape) for node in nodes]
    if shape.placement == "strict_pack":
        return sum(count // shape.workers for count in free)
    if shape.placement == "strict_spread":
        # n trials fit if the machines together give n times the workers, each machine at most one
        # slot per trial; dealt out in turn, the slots of a trial are then on different machines.
        most = sum(free) // shape.workers
        while most and sum(min(count, most) for count in free) < most * shape.workers:
            most -= 1
        return most
    return sum(free) // shape.workers


def even(batch_size: int, *, least: int, most: int) -> tuple[int, ...]:
    """The numbers of workers from `least` to `most` over which a batch divides evenly, with two
    images or more for each."""
    counts = range(least, most + 1)
    return tuple(n for n in counts if batch_size % n == 0 and batch_size // n >= 2)


def uneven(batch_size: int, *, least: int, most: int) -> str:
    """What to say of a batch that divides over none of these numbers, and what divides."""
    workers = str(most) if least == most else f"{least} to {most}"
    return (
        f"must divide evenly over {workers} workers, two images or more for each, but got "
        f"{batch_size}; try {max(2, batch_size // least) * least}"
    )


def most(
    free: Sequence[Node],
    alive: Sequence[Node],
    shape: Shape,
    *,
    counts: Sequence[int],
    trials: int,
) -> int:
    """How many workers a trial takes now; 0 if it has to wait.

    Args:
        free: Machines, with what nobody has booked on them.
        alive: The same machines as a whole.
        shape: The trial; its `workers` does not matter.
        counts: The numbers to choose from.
        trials: Trials that run at a time; each takes an equal part at most, or the smallest of
            `counts` where that is more.
    """
    part = sum(slots(node, shape) for node in alive) // trials
    fair = [n for n in counts if n <= max(part, min(counts))]
    return max((n for n in fair if concurrent(free, replace(shape, workers=n))), default=0)


def asked(trial: Trial, nodes: Sequence[Node]) -> Shape:
    """What a trial books: the GPUs of a worker as asked for, shared by `pack` trials; where none
    are asked for, one if the machines have one for each worker, else none.

    Raises:
        EnvironmentError: a GPU is to be shared, but there is none.
    """
    least, gpus = trial.min_workers or trial.workers, trial.gpus_per_worker
    if gpus is None:
        gpus = float(sum(int(node.gpus) for node in nodes) >= least)
    if isinstance(trial.pack, int):
        if not gpus:
            raise EnvironmentError(
                f"pack must be auto where there is no GPU to share, but got {trial.pack}; leave "
                f"it out, and set how many trials run at a time with --concurrent"
            )
        gpus /= trial.pack
    return Shape(
        workers=trial.workers,
        least=least,
        cpus=trial.cpus_per_worker,
        gpus=gpus,
        placement=trial.placement,
    )


def require_fit(nodes: Sequence[Node], shape: Shape) -> int:
    """Trials that fit at the same time with the fewest workers that they take, one at least.

    Raises:
        EnvironmentError: not even one fits; what it needs and what each machine has.
    """
    trials = concurrent(nodes, shape.smallest)
    if trials:
        return trials
    if shape.gpus and not any(node.gpus for node in nodes):
        remedy = "there is no GPU at all: set gpus_per_worker: 0, or use machines that have one"
    elif shape.memory > max((node.memory for node in nodes), default=math.inf):
        remedy = "choose a smaller batch or model, or a machine with more memory"
    elif shape.placement.startswith("strict_"):
        remedy = f"lower workers, or write placement: {shape.placement.removeprefix('strict_')}"
    else:
        remedy = "lower workers, cpus_per_worker or gpus_per_worker"
    raise EnvironmentError(
        f"a trial must fit the machines, but its {describe(shape)} do not fit {listed(nodes)}; "
        f"{remedy}"
    )


def describe(shape: Shape) -> str:
    """A trial's workers in words, such as `2 workers (1 core, 1 GPU each, strict_spread)`."""
    bundle = _amount(shape.cpus, "core")
    if shape.gpus:
        bundle += f", {_amount(shape.gpus, 'GPU')}"
    if shape.memory:
        bundle += f", {shape.memory / 2**30:.1f} GiB"
    placement = f", {shape.placement}" if shape.workers > 1 else ""
    least = f"{shape.least} to " if shape.elastic else ""
    return f"{least}{_amount(shape.workers, 'worker')} ({bundle} each{placement})"


def listed(nodes: Sequence[Node]) -> str:
    """Machines in words, at most eight of them."""
    lines = [
        f"{node.name} ({_amount(node.cpus, 'core')}, {_amount(node.gpus, 'GPU')})"
        for node in nodes[:8]
    ]
    more = [f"{len(nodes) - 8} more"] if len(nodes) > 8 else []
    return ", ".join(lines + more) or "a cluster without machines"


def _amount(count: float, thing: str) -> str:
    return f"{count:g} {thing}{'' if count == 1 else 's'}"
