import functools
import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from raylt.cluster.capacity import (
    alone,
    asked,
    concurrent,
    describe,
    even,
    most,
    packed,
    require_fit,
    slots,
    uneven,
)
from raylt.schema import EnvironmentError
from raylt.settings import Trial
from tests.cluster.made import need, node, shape


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
        (node(64, 1.5), shape(gpus=0.5), 3),  # half of one is booked
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
def test_a_stricter_placement_never_fits_more(cores, workers, item):
    nodes = [node(count) for count in cores]
    loose = concurrent(nodes, shape(workers, item, placement="pack"))
    assert loose == concurrent(nodes, shape(workers, item, placement="spread"))
    for strict in ("strict_pack", "strict_spread"):
        assert concurrent(nodes, shape(workers, item, placement=strict)) <= loose
    assert loose * workers * item <= sum(cores)


@pytest.mark.parametrize(
    ("nodes", "wanted", "message"),
    [
        ([node(8)], shape(gpus=1), "no GPU at all"),
        ([node(2, name="a"), node(2, name="b")], shape(3, 2), "a (2 cores, 0 GPUs)"),
        ([node(8)], shape(2, placement="strict_spread"), "placement: spread"),
        ([node(1), node(1)], shape(2, placement="strict_pack"), "placement: pack"),
        ([], shape(), "without machines"),
    ],
)
def test_what_does_not_fit_is_refused_at_once_with_need_and_have(nodes, wanted, message):
    with pytest.raises(EnvironmentError) as refused:
        require_fit(nodes, wanted)
    assert message in str(refused.value)
    assert describe(wanted) in str(refused.value)


def test_a_gpu_each_where_there_are_enough():
    nodes = [node(8, 1), node(8, 1)]
    assert asked(Trial(workers=2), nodes).gpus == 1
    assert asked(Trial(workers=3), nodes).gpus == 0


@pytest.mark.parametrize(
    ("machine", "wanted", "fit"),
    [
        (node(4, memory=10.0), need(memory=2.0), 4),  # the cores decide
        (node(4, memory=10.0), need(memory=4.0), 2),  # the memory decides
        (node(4, memory=10.0), need(memory=10.0), 1),
        (node(4), need(memory=4.0), 4),  # nobody knows how much there is
        (node(16, 1), need(gpu_memory=20, gpu_size=80), 4),
        (node(3, 1), need(gpu_memory=20, gpu_size=80), 3),  # a core for each
        (node(16, 1), need(gpu_memory=70, gpu_size=80), 1),
        (node(16, 1), need(gpu_memory=90, gpu_size=80), 1),  # it may try, alone
        (node(16, 1), need(gpu_memory=20, gpu_size=80, gpu_busy=0.9), 2),  # time decides
        (node(16, 1), need(gpu_memory=20, gpu_size=80, gpu_busy=1.0), 1),
        (node(16, 2), need(gpu_memory=20, gpu_size=80), 8),
        (node(16, 1, memory=10.0), need(memory=4.0, gpu_memory=20, gpu_size=80), 2),
    ],
)
def test_trials_are_packed_by_memory_cores_and_time(machine, wanted, fit):
    made = packed([machine], shape(gpus=1.0 if machine.gpus else 0.0), wanted)
    assert concurrent([machine], made) == fit


sizes = st.integers(1, 100).map(float)


@given(
    st.lists(st.tuples(st.integers(1, 64), st.integers(0, 8), sizes), min_size=1, max_size=4),
    st.integers(1, 8),
    sizes,
    sizes,
    sizes,
    st.floats(0.01, 1.0),
)
def test_packed_trials_never_hold_more_than_there_is(machines, cpus, memory, gpu, size, busy):
    nodes = [node(cores, gpus, memory=free) for cores, gpus, free in machines]
    has_gpu = any(one.gpus for one in nodes)
    asked = shape(cpus=cpus, gpus=float(has_gpu))
    wanted = need(memory, gpu, size, busy) if has_gpu else need(memory)
    made = packed(nodes, asked, wanted)
    for one in nodes:
        fit = slots(one, made)
        assert fit * cpus <= one.cpus
        assert fit * memory <= one.memory * (1 + 1e-6)
        if has_gpu:
            on_one_gpu = round(1 / made.gpus)
            assert on_one_gpu == 1 or on_one_gpu * gpu <= size * (1 + 1e-6)
            # One fewer would leave the GPU idle for a part of the time.
            assert on_one_gpu == 1 or (on_one_gpu - 1) * busy < 1
    # Where one fits by itself, packing leaves it its place.
    roomy = [one for one in nodes if one.memory >= memory]
    assert bool(concurrent(roomy, asked)) == bool(concurrent(nodes, made))


def test_alone_is_a_whole_gpu_or_a_whole_machine():
    assert alone([node(8, 1)], shape(gpus=0.25)).gpus == 1
    assert alone([node(2), node(8)], shape(cpus=1, memory=5.0)) == shape(cpus=8)
    for already in (shape(gpus=1), shape(gpus=2), shape(workers=2, gpus=0.5)):
        assert alone([node(8, 4)], already) == already


def test_a_trial_larger_than_every_memory_is_refused_in_words():
    with pytest.raises(EnvironmentError, match=r"3\.0 GiB each.*smaller batch"):
        require_fit([node(4, memory=2.0**30)], shape(memory=3 * 2.0**30))


@given(st.integers(1, 512), st.integers(1, 8), st.integers(0, 8))
def test_every_number_of_workers_that_is_chosen_trains_the_same_batch(size, least, more):
    result = even(size, least=least, most=least + more)
    assert all(n * (size // n) == size and size // n >= 2 for n in result)
    assert set(result) == {
        n for n in range(least, least + more + 1) if size % n == 0 and size >= 2 * n
    }


@given(st.integers(1, 512), st.integers(1, 8), st.integers(0, 8))
def test_a_batch_that_is_tried_instead_can_be_shared(size, least, more):
    tried = int(uneven(size, least=least, most=least + more).rpartition("; try ")[2])
    assert even(tried, least=least, most=least + more)
    assert uneven(65, least=2, most=4).startswith("must divide evenly over 2 to 4 workers")


def test_an_elastic_trial_runs_where_its_fewest_workers_fit():
    wanted = shape(4, least=2)
    assert require_fit([node(8)], wanted) == 4
    assert require_fit([node(3)], wanted) == 1
    with pytest.raises(EnvironmentError, match="2 to 4 workers"):
        require_fit([node(1)], wanted)


@pytest.mark.parametrize(
    ("free", "alive", "trials", "taken"),
    [
        ([4], [4], 1, 4),
        ([4], [8], 2, 4),
        ([4], [4], 2, 2),  # the other two are another trial's part
        ([4], [4], 4, 1),
        ([3], [4], 1, 2),  # 3 do not divide the batch
        ([1], [4], 1, 1),
        ([0], [4], 1, 0),
        ([4], [4], 9, 1),  # the fewest it can do with, though that is more than its part
    ],
)
def test_a_trial_takes_what_is_free_of_its_part(free, alive, trials, taken):
    wanted = shape(4, least=1)
    counts = even(64, least=1, most=4)
    result = most(
        [node(c) for c in free], [node(c) for c in alive], wanted, counts=counts, trials=trials
    )
    assert result == taken


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(1, 5),
    st.sampled_from(["pack", "strict_pack", "strict_spread"]),
)
def test_what_a_trial_takes_always_fits_what_is_free(machines, least, more, trials, placement):
    free = [node(min(left, whole)) for left, whole in machines]
    alive = [node(whole) for _, whole in machines]
    wanted = shape(least + more, placement=placement, least=least)
    counts = range(least, least + more + 1)
    taken = most(free, alive, wanted, counts=counts, trials=trials)
    assert taken == 0 or (taken in counts and concurrent(free, shape(taken, placement=placement)))
    # Nobody waits while the fewest that it takes would fit.
    assert bool(taken) == bool(concurrent(free, wanted.smallest))
