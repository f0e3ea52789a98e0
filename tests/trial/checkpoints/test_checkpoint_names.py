import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.trial.checkpoints import checkpoint_names


@given(st.integers(0, 999_999))
def test_the_epoch_is_in_the_name(epoch):
    name = checkpoint_names.checkpoint(epoch)
    assert checkpoint_names.epoch_of(name) == epoch
    assert fnmatch.fnmatch(name, checkpoint_names.PATTERN)


def test_names_are_in_the_order_of_their_epochs():
    epochs = [1, 9, 10, 99, 100, 2000]
    assert sorted(map(checkpoint_names.checkpoint, epochs)) == [
        checkpoint_names.checkpoint(epoch) for epoch in epochs
    ]


@pytest.mark.parametrize(
    "name", [checkpoint_names.BEST, "checkpoint-1.safetensors", "checkpoint-000001.part", ""]
)
def test_other_files_have_no_epoch(name):
    assert checkpoint_names.epoch_of(name) is None
