import functools
import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from raylt.cluster.room import Node, Shape, concurrent, demand, describe, gpus_by_default, slots
from raylt.schema import EnvironmentError


def node(cpus, gpus=0.0, name="n"):
    return Node(id=name, name=name, address="", cpus=cpus, gpus=gpus)


def shape(workers=1, cpus=1, gpus=0.0, placement="pack"):
    return Shape(workers=workers, cpus=cpus, gpus=gpus, placement=placement)


@pytest.mark.parametrize(
    ("machine", "wanted", "fit"),
    [
        (node(4), shape(), 4),
        (node(4), shape(cpus=3), 1),
        (node(64, 8), shape(cpus=8, gpus=1), 8),
        (node(64, 8), shape(gpus=2), 4),
        (node(64, 1), shape(gpus=0.1), 10),
        (node(64, 2), shape(gpus=0.4), 4),  # two on each; a fifth would lie across both
        (node(64, 2), shape(gpus=0.6), 2),
        (node(64), shape(gpus=0.5), 0),
        (node(0), shape(), 0),
    ],
)
def test_workers_of_one_machine(machine, wanted, fit):
    assert slots(machine, wanted) == fit


@functools.cache
def _most_spread(free, workers):
    """Trials that stand apart, by trying every way to place each; slow and plain."""
    best = 0
    for choice in itertools.combinations(range(len(free)), workers):
        if all(free[i] for i in choice):
            left = tuple(count - (i in choice) for i, count in enumerate(free))
            best = max(best, 1 + _most_spread(left, workers))
    return best


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(1, 3))
@example([3, 1, 1], 2)
def test_strictly_spread_trials_are_as_many_as_trying_everything_finds(free, workers):
    nodes = [node(count) for count in free]
    wanted = shape(workers, placement="strict_spread")
    assert concurrent(nodes, wanted) == _most_spread(tuple(free), workers)


@given(st.lists(st.integers(0, 9), max_size=5), st.integers(1, 4), st.integers(1, 3))
def test_a_stricter_placement_never_fits_more(cores, workers, each):
    nodes = [node(count) for count in cores]
    loose = concurrent(nodes, shape(workers, each, placement="pack"))
    assert loose == concurrent(nodes, shape(workers, each, placement="spread"))
    for strict in ("strict_pack", "strict_spread"):
        assert concurrent(nodes, shape(workers, each, placement=strict)) <= loose
    assert loose * workers * each <= sum(cores)


@pytest.mark.parametrize(
    ("nodes", "wanted", "told"),
    [
        ([node(8)], shape(gpus=1), "no GPU at all"),
        ([node(2, name="a"), node(2, name="b")], shape(3, 2), "a (2 cores, 0 GPUs)"),
        ([node(8)], shape(2, placement="strict_spread"), "placement: spread"),
        ([node(1), node(1)], shape(2, placement="strict_pack"), "placement: pack"),
        ([], shape(), "without machines"),
    ],
)
def test_what_does_not_fit_is_refused_at_once_with_need_and_have(nodes, wanted, told):
    with pytest.raises(EnvironmentError) as refused:
        demand(nodes, wanted)
    assert told in str(refused.value)
    assert describe(wanted) in str(refused.value)


def test_a_gpu_each_where_there_are_enough():
    nodes = [node(8, 1), node(8, 1)]
    assert gpus_by_default(nodes, workers=2) == 1
    assert gpus_by_default(nodes, workers=3) == 0
