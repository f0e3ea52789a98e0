from raylt import space
from raylt.study.report import dataset
from tests.data.reading.made import folder


def test_classes_are_named_and_what_was_left_out_is_counted(tmp_path):
    top = folder(tmp_path / "set", {"cat": 12, "dog": 9})
    (top / "dog" / "broken.png").write_text("no image")
    (top / "dog" / "notes.txt").touch()
    path = tmp_path / "mine.yaml"
    path.write_text(
        """
study: {name: mine, trials: 2, objective: val/accuracy, scheduler: {name: none}}
recipe:
  data: {name: folder, images: set, test: 4, validation: 2, broken: skip, workers: 0}
  method: {name: sdclr, prune: {low: 0.1, high: 0.9}, temperature: 0.2}
  encoder: small
  optimizer: {lr: 0.1, batch_size: 8}
  epochs: 2
"""
    )
    facts = dataset.facts(space.load(path), tmp_path)
    assert facts["names"] == ["cat", "dog"]
    assert facts["train_counts"] == [6, 3]
    text = dataset.text(facts)
    assert "training images of each class: cat 6, dog 3" in text
    assert "left out since they cannot be read: 1, such as dog/broken.png" in text
    assert "left out since they are no images: 1 .txt" in text


def test_classes_without_names_are_counted_in_their_order(tmp_path):
    path = tmp_path / "digits.yaml"
    path.write_text(
        """
study: {name: digits, trials: 2, objective: val/accuracy, scheduler: {name: none}}
recipe:
  data: {name: digits}
  method: {name: sdclr, prune: {low: 0.1, high: 0.9}, temperature: 0.2}
  encoder: small
  optimizer: {lr: 0.1, batch_size: 8}
  epochs: 2
"""
    )
    text = dataset.text(dataset.facts(space.load(path), tmp_path))
    assert "104 ... 5 training images, imbalance 20.8 as counted, for data.imbalance 20" in text
    assert "training images of class 0, 1, ...: 104, 74, 53" in text
    assert "left out" not in text
