import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from raylt import collectives
from raylt.nn.momentum import NOBODY, Follower, Queue
from tests import distributed


def stages(seed=0):
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    return encoder, nn.Sequential(nn.Linear(4 * 36, 3), nn.BatchNorm1d(3))


def test_it_begins_as_a_copy_and_moves_a_share_of_the_way():
    trained = stages()
    follower = Follower(*trained, momentum=0.75)
    before = [weight.clone() for stage in trained for weight in stage.parameters()]
    images = torch.rand(5, 1, 8, 8)
    assert_close(follower(images), trained[1](trained[0](images)))
    with torch.no_grad():
        for stage in trained:
            for weight in stage.parameters():
                weight.add_(1)
    follower.follow()
    slow = copy.deepcopy(trained)
    with torch.no_grad():
        weights = (weight for stage in slow for weight in stage.parameters())
        for weight, old in zip(weights, before, strict=True):
            weight.copy_(0.75 * old + 0.25 * (old + 1))
    assert_close(follower(images), slow[1](slow[0](images)))


def test_it_has_no_parameter_no_gradient_and_running_statistics_of_its_own():
    trained = stages()
    follower = Follower(*trained, momentum=0.9)
    untouched = copy.deepcopy(trained[0][1].state_dict())
    assert not follower(torch.rand(5, 1, 8, 8)).requires_grad
    assert list(follower.parameters()) == []
    assert all(torch.equal(value, untouched[k]) for k, value in trained[0][1].state_dict().items())
    assert follower.copies.get_buffer("0/1/num_batches_tracked") == 1


def test_the_oldest_keys_make_room():
    queue = Queue(5, 2)
    assert queue.labels.tolist() == [NOBODY] * 5
    assert_close(queue.keys.norm(dim=1), torch.ones(5))
    for number in range(4):
        queue.push(torch.full((3, 2), float(number)), torch.tensor([number] * 3))
    # Twelve keys went through five places: the last five are 2, 2, 3, 3, 3 and 10 % 5 is next.
    assert queue.labels.tolist() == [3, 3, 2, 2, 3]
    assert queue.keys[:, 0].tolist() == [3, 3, 2, 2, 3]
    assert queue.oldest == 12 % 5


def test_a_batch_larger_than_the_queue_leaves_its_end():
    queue = Queue(3, 1)
    queue.push(torch.arange(5.0)[:, None], torch.arange(5))
    assert sorted(queue.labels.tolist()) == [2, 3, 4]


def test_what_was_read_stays():
    queue = Queue(4, 2)
    keys, labels = queue.read()
    expected = keys.clone(), labels.clone()
    queue.push(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64))
    assert torch.equal(keys, expected[0])
    assert torch.equal(labels, expected[1])


def _pushed():
    torch.manual_seed(0)
    queue, keys = Queue(6, 2), functional.normalize(torch.randn(8, 2), dim=1)
    rank, world = collectives.rank(), collectives.world()
    for batch in (keys[:4], keys[4:]):
        queue.push(batch.chunk(world)[rank], torch.arange(4).chunk(world)[rank])
    return dict(queue.named_buffers())


@pytest.mark.parametrize("workers", [2])
def test_all_workers_hold_what_one_would(workers):
    expected = _pushed()
    for computed in distributed.run(_pushed, workers=workers):
        assert all(torch.equal(computed[name], value) for name, value in expected.items())
