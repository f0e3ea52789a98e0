"""Where the trials of a search run: Ray on this machine, or the cluster that it belongs to."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from raylt.cluster import address as addresses
from raylt.cluster import capacity, connect, sharing
from raylt.cluster.capacity import Need, Node, Shape
from raylt.cluster.profile import Placement
from raylt.schema import InputError
from raylt.space import Space
from raylt.study.resources import local_ray

Weigh = Callable[[Shape], Need]
"""What one trial needs that books a shape; it may take seconds to find out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRequest:
    """What a search asks of machines."""

    workers: int = 1
    """Processes that train one trial together."""
    min_workers: int | None = None
    """The fewest that a trial makes do with while machines are missing; all where None."""
    cpus_per_worker: int = 1
    """Cores, and threads of torch, of each."""
    gpus_per_worker: float | None = None
    """GPUs of each, or a share of one; where None, one if there are any."""
    pack: Literal["auto"] | int | None = None
    """Trials that share a GPU; None where `gpus_per_worker` says it."""
    cpus: int | None = None
    """Cores of this machine that may be used; all where None."""
    placement: Placement = "pack"
    """Where the workers of a trial stand on several machines."""
    address: str | None = None
    """The Ray cluster that this machine belongs to; this machine alone where None."""
    wait: float = 0.0
    """Minutes that the machines of a cluster may take to come up."""
    concurrent: int | None = None
    """Trials at a time; as many as fit where None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What each worker of a trial books, and how many trials run at a time."""

    shape: Shape
    concurrent: int
    machines: tuple[Node, ...]
    most: float = math.inf
    """The most that are wanted at a time, however many fit."""

    def at_a_time(self, machines: Sequence[Node]) -> int:
        """Trials that run at a time on some machines, one at least."""
        return max(1, int(min(self.most, capacity.concurrent(machines, self.shape.smallest))))

    @property
    def alone(self) -> Shape:
        """What a trial books that can have no other one beside it."""
        return capacity.alone(self.machines, self.shape)

    @property
    def has_company(self) -> bool:
        """Whether trials share a GPU or a machine, and could do without."""
        return self.concurrent > 1 and self.alone != self.shape

    def __str__(self) -> str:
        """One line for the user: what was chosen."""
        return (
            f"{capacity.listed(self.machines)}: {self.concurrent} "
            f"trial{'' if self.concurrent == 1 else 's'} at a time, each "
            f"{capacity.describe(self.shape)}"
        )


def require_here(wish: ResourceRequest) -> None:
    """Refuse at once, before Ray starts, what cannot fit this machine.

    Raises:
        InputError: the address is not one of a cluster that a search may join.
        EnvironmentError: not even one trial fits.
    """
    way = addresses.way(wish.address)
    if way == "submit":
        raise InputError(
            f"--address: must be auto or HOST:6379 to search from here, but got {wish.address}; "
            f"a search is sent there by `raylt tune`, `train` or `resume`"
        )
    if way == "here":
        # What is packed by measure is looked at once it is measured.
        planned(replace(wish, pack=None) if wish.pack == "auto" else wish, _unasked)


def _unasked(shape: Shape) -> Need:
    raise AssertionError(f"nothing is packed by measure here, but {shape} is asked for")


def planned(wish: ResourceRequest, weigh: Weigh) -> Allocation:
    """What a search on this machine alone would take, found without Ray.

    Raises:
        EnvironmentError: not even one trial fits.
    """
    gpus = local_ray.gpus()
    node = Node(
        id="",
        name="this machine",
        address="",
        cpus=wish.cpus or local_ray.cores(),
        gpus=gpus or 0,
        memory=local_ray.memory(),
    )
    shape = _packed(wish, [node], weigh)
    fit = capacity.require_fit([node], replace(shape, gpus=0) if gpus is None else shape)
    return Allocation(shape=shape, concurrent=min(fit, wish.concurrent or fit), machines=(node,))


def require_even(space: Space, wish: ResourceRequest) -> None:
    """Refuse at once batches that the workers of a trial cannot share evenly.

    Raises:
        InputError: an end of the batch size does not divide over them.
    """
    path = "optimizer.batch_size"
    ends = next(
        (each.ends for each in space.leaves if each.path == path), (space.known.get(path),)
    )
    most = wish.workers
    least = wish.min_workers or most
    for size in ends:
        if isinstance(size, int) and not capacity.even(size, least=least, most=most):
            nearest = max(2 * most, size // most * most)
            told = str(most) if least == most else f"{least} to {most}"
            raise InputError(
                f"{space.source}: {path}: must divide evenly over {told} workers, two images or "
                f"more for each, but got {size}; try {nearest}, or another number of --workers"
            )


@contextlib.contextmanager
def taken(
    wish: ResourceRequest, *, runs: Path, work: str, checkpoints: str | None
) -> Generator[Sequence[Node]]:
    """Ray and its machines, for the time of a `with`.

    Args:
        wish: What is asked for.
        runs: Folder of all studies, which all machines must share.
        work: `package.module:function` that the trials will run.
        checkpoints: A bucket by which the machines can do without sharing the folder; None where
            there is none, or where it is not enough.

    Raises:
        EnvironmentError: Ray does not come up, a cluster has no room for one trial, or its
            machines do not share the folder.
    """
    with contextlib.ExitStack() as stack:
        if addresses.way(wish.address) == "here":
            cpus = wish.cpus or local_ray.cores()
            preload = work.partition(":")[0] if _every_process_trains(wish, cpus) else None
            stack.enter_context(
                local_ray.ray_here(cpus=cpus, dashboard=wish.workers > 1, preload=preload)
            )
            nodes = connect.nodes()
        else:
            assert wish.address is not None
            stack.enter_context(connect.joined(wish.address))
            shape = _shape(wish, connect.nodes())
            wanted = wish.concurrent or 1
            nodes = stack.enter_context(connect.awaited(shape, trials=wanted, minutes=wish.wait))
            if len(nodes) > 1:
                nodes = sharing.require(runs, checkpoints, nodes)
        yield nodes


def share(
    wish: ResourceRequest, nodes: Sequence[Node], weigh: Weigh, *, trials: int | None
) -> Allocation:
    """What a search takes of machines.

    Args:
        wish: What is asked for.
        nodes: The machines.
        weigh: What a trial needs, asked where trials are to be packed by it.
        trials: How many are to run; None where that is not known yet.

    Raises:
        EnvironmentError: not even one trial fits.
    """
    shape = _packed(wish, nodes, weigh)
    fit = capacity.require_fit(nodes, shape)
    most = min(wish.concurrent or math.inf, trials or math.inf)
    return Allocation(
        shape=shape, concurrent=int(min(fit, most)), machines=tuple(nodes), most=most
    )


def _every_process_trains(wish: ResourceRequest, cpus: int) -> bool:
    """Whether each process that Ray starts by itself, one a core, is going to run a trial."""
    alone = wish.workers == 1 and wish.cpus_per_worker == 1 and wish.pack is None
    return alone and local_ray.gpus() == 0 and (wish.concurrent or cpus) >= cpus


def _packed(wish: ResourceRequest, nodes: Sequence[Node], weigh: Weigh) -> Shape:
    shape = _shape(wish, nodes)
    if wish.pack != "auto":
        return shape
    # It must fit before it can be measured.
    capacity.require_fit(nodes, shape)
    return capacity.packed(nodes, shape, weigh(shape))


def _shape(wish: ResourceRequest, nodes: Sequence[Node]) -> Shape:
    least = wish.min_workers or wish.workers
    gpus = capacity.gpus(nodes, workers=least, asked=wish.gpus_per_worker, pack=wish.pack)
    return Shape(
        workers=wish.workers,
        least=least,
        cpus=wish.cpus_per_worker,
        gpus=gpus,
        placement=wish.placement,
    )
