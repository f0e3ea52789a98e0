import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt import metrics
from raylt.schema import EnvironmentError
from raylt.trial.evaluation import classes

COUNTS = (200, 50, 5)


def keep(folder, epoch, predictions, labels=(0, 0, 1, 2)):
    return classes.keep(
        folder,
        epoch=epoch,
        predictions=np.array(predictions),
        labels=np.array(labels),
        train_counts=COUNTS,
        names=("a", "b", "c"),
    )


def test_keeps_the_last_and_the_best_epoch(tmp_path):
    keep(tmp_path, 5, [0, 0, 1, 2])
    written = keep(tmp_path, 10, [0, 1, 1, 0])
    read = classes.read(tmp_path)
    assert read == written
    assert (read.last.epoch, read.best.epoch) == (10, 5)
    assert read.train_counts == COUNTS
    assert read.names == ("a", "b", "c")
    assert read.last.confusion(3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert read.last.per_class(3).tolist() == [0.5, 1.0, 0.0]
    assert read.best.accuracy == 1


def test_scoring_an_epoch_again_changes_nothing(tmp_path):
    first = keep(tmp_path, 5, [0, 0, 1, 2])
    assert keep(tmp_path, 5, [0, 0, 1, 2]) == first
    assert [path.name for path in tmp_path.iterdir()] == [classes.FILE]


def test_a_trial_without_a_score_has_no_table(tmp_path):
    assert classes.read(tmp_path) is None


def test_a_class_without_images_has_no_accuracy(tmp_path):
    result = keep(tmp_path, 1, [0, 0], labels=[0, 0])
    assert np.isnan(result.last.per_class(3)[1:]).all()


@pytest.mark.parametrize("text", ["", "{", "{}", '{"format": 1, "last": 3}'])
def test_names_a_damaged_file(tmp_path, text):
    (tmp_path / classes.FILE).write_text(text)
    with pytest.raises(EnvironmentError, match=r"classes\.json must be readable"):
        classes.read(tmp_path)


def test_names_a_newer_format(tmp_path):
    keep(tmp_path, 1, [0, 0, 1, 2])
    path = tmp_path / classes.FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(EnvironmentError, match="format 99"):
        classes.read(tmp_path)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_equals_the_metrics_of_the_same_predictions(tmp_path_factory, pairs):
    predictions, labels = map(np.array, zip(*pairs, strict=True))
    result = keep(tmp_path_factory.mktemp("trial"), 1, predictions, labels)
    expected = metrics.per_class(predictions, labels, 3)
    np.testing.assert_allclose(result.last.per_class(3), expected)
    assert result.last.accuracy == metrics.summary(predictions, labels, COUNTS)["accuracy"]
