"""What each trial gets: workers, cores, GPUs, and how many trials run at a time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

from raylt.cluster import address as addresses
from raylt.cluster import capacity, connect, sharing
from raylt.cluster.capacity import Need, Node, Shape
from raylt.schema import InputError
from raylt.settings import Settings
from raylt.space import Space
from raylt.study.resources import local_ray

Measure = Callable[[Shape], Need]
"""Measures what a trial of a shape needs, which may take seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What each worker of a trial gets, and how many trials run at a time."""

    shape: Shape
    concurrent: int
    machines: tuple[Node, ...]
    most: float = math.inf
    """The most trials that are wanted at a time, however many fit."""

    def at_a_time(self, machines: Sequence[Node]) -> int:
        """Trials that run at a time on these machines, at least one."""
        return max(1, int(min(self.most, capacity.concurrent(machines, self.shape.smallest))))

    @property
    def alone(self) -> Shape:
        """What a trial gets that must not share a machine or a GPU with another one."""
        return capacity.alone(self.machines, self.shape)

    @property
    def has_company(self) -> bool:
        """Whether trials share a GPU or a machine, and could run alone."""
        return self.concurrent > 1 and self.alone != self.shape

    def __str__(self) -> str:
        """What was chosen, in one line for the user."""
        return (
            f"{capacity.listed(self.machines)}: {self.concurrent} "
            f"trial{'' if self.concurrent == 1 else 's'} at a time, each "
            f"{capacity.describe(self.shape)}"
        )


def require_fit(settings: Settings) -> None:
    """Refuse settings by which no trial fits this machine.

    Raises:
        InputError: the address is of a cluster that a search cannot join from here.
        EnvironmentError: not even one trial fits.
    """
    way = addresses.way(settings.address)
    if way == "submit":
        raise InputError(
            f"--address: must be auto or HOST:6379 to search from here, but got "
            f"{settings.address}; send the search there with `raylt tune`, `train` or `resume`"
        )
    if way == "here":
        # Where pack is auto the need of a trial is only measured once the search begins.
        pack = None if settings.pack == "auto" else settings.pack
        planned(settings.model_copy(update={"pack": pack}), _not_measured)


def _not_measured(shape: Shape) -> Need:
    raise AssertionError(f"nothing is measured here, but {shape} was to be")


def planned(settings: Settings, measure: Measure) -> Allocation:
    """What a search on this machine alone would get, found without Ray.

    Raises:
        EnvironmentError: not even one trial fits.
    """
    gpus = local_ray.gpus()
    node = Node(
        id="",
        name="this machine",
        address="",
        cpus=settings.cpus or local_ray.cores(),
        gpus=gpus or 0,
        memory=local_ray.memory(),
    )
    shape = _packed(settings, [node], measure)
    fit = capacity.require_fit([node], replace(shape, gpus=0) if gpus is None else shape)
    concurrent = min(fit, settings.concurrent or fit)
    return Allocation(shape=shape, concurrent=concurrent, machines=(node,))


def require_even(space: Space, settings: Settings) -> None:
    """Refuse batches that the workers of a trial cannot share evenly.

    Raises:
        InputError: an end of the batch size does not divide by the number of workers.
    """
    path = "optimizer.batch_size"
    sizes = next(
        (leaf.ends for leaf in space.leaves if leaf.path == path), (space.known.get(path),)
    )
    most = settings.workers
    least = settings.min_workers or most
    for size in sizes:
        if isinstance(size, int) and not capacity.even(size, least=least, most=most):
            reason = capacity.uneven(size, least=least, most=most)
            raise InputError(f"{space.source}: {path}: {reason}, or another number of --workers")


@contextlib.contextmanager
def ray_nodes(settings: Settings, *, bucket: str | None) -> Generator[Sequence[Node]]:
    """Start Ray on this machine, or join the cluster, for the time of a `with`.

    Args:
        bucket: A bucket by which machines do without a shared folder of runs; None where there
            is none, or where it is not enough.

    Raises:
        EnvironmentError: Ray does not start, the cluster has no room for one trial, or its
            machines do not share the folder of runs.
    """
    with contextlib.ExitStack() as stack:
        if addresses.way(settings.address) == "here":
            cpus = settings.cpus or local_ray.cores()
            trains = _every_process_trains(settings, cpus)
            preload = settings.work.partition(":")[0] if trains else None
            stack.enter_context(
                local_ray.ray_here(cpus=cpus, dashboard=settings.workers > 1, preload=preload)
            )
            nodes = connect.nodes()
        else:
            assert settings.address is not None
            stack.enter_context(connect.joined(settings.address))
            shape = capacity.asked(settings, connect.nodes())
            wanted = settings.concurrent or 1
            nodes = stack.enter_context(
                connect.awaited(shape, trials=wanted, minutes=settings.wait)
            )
            if len(nodes) > 1:
                nodes = sharing.require(settings.runs, bucket, nodes)
        yield nodes


def allocate(
    settings: Settings, nodes: Sequence[Node], measure: Measure, *, trials: int | None
) -> Allocation:
    """What the trials of a search get on its machines.

    Args:
        measure: Called where trials are packed by what they need.

    Raises:
        EnvironmentError: not even one trial fits.
    """
    shape = _packed(settings, nodes, measure)
    fit = capacity.require_fit(nodes, shape)
    most = min(settings.concurrent or math.inf, trials or math.inf)
    return Allocation(
        shape=shape, concurrent=int(min(fit, most)), machines=tuple(nodes), most=most
    )


def _every_process_trains(settings: Settings, cpus: int) -> bool:
    """Whether each process that Ray starts by itself, one per core, will run a trial."""
    alone = settings.workers == 1 and settings.cpus_per_worker == 1 and settings.pack is None
    return alone and local_ray.gpus() == 0 and (settings.concurrent or cpus) >= cpus


def _packed(settings: Settings, nodes: Sequence[Node], measure: Measure) -> Shape:
    shape = capacity.asked(settings, nodes)
    if settings.pack != "auto":
        return shape
    # It must fit before it can be measured.
    capacity.require_fit(nodes, shape)
    return capacity.packed(nodes, shape, measure(shape))
