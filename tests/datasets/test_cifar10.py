import pytest

from raylt.datasets import cifar10

# Images of class 0..9 in the published split files of SDCLR.
SPLITS = {
    1: (348, 969, 125, 208, 1617, 75, 4500, 581, 2697, 45),
    2: (581, 348, 208, 4500, 969, 45, 125, 1617, 75, 2697),
    3: (4500, 125, 1617, 45, 2697, 581, 348, 208, 969, 75),
    4: (1617, 581, 75, 125, 4500, 45, 969, 2697, 208, 348),
    5: (581, 969, 4500, 348, 2697, 45, 75, 125, 1617, 208),
}


@pytest.mark.parametrize("split", SPLITS)
def test_splits_have_the_published_class_sizes(split):
    assert cifar10.Config(split=split).train_counts() == SPLITS[split]
