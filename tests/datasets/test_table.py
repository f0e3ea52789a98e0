import numpy as np
import pytest
from PIL import Image

from raylt import datasets
from raylt.datasets import table
from raylt.schema import EnvironmentError, InputError


def config(**values):
    wanted = {"table": "mine.csv", "images": "photos", "natural": True, "test": 2, "validation": 1}
    return table.Config.model_validate(wanted | {"resolution": 8, "workers": 0} | values)


def load(root, **values):
    return datasets.load(config(**values), root)


@pytest.fixture
def root(tmp_path):
    """A table with heads of nine cats and six dogs; an image's shade tells its line."""
    (tmp_path / "photos").mkdir()
    lines = ["file,species"]
    for k in range(15):
        Image.new("RGB", (10, 12), (10 * k, 0, 0)).save(tmp_path / "photos" / f"{k}.png")
        lines.append(f"{k}.png,{'dog' if k % 5 in (1, 3) else 'cat'}")
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    return tmp_path


def shades(images):
    return set(images.take(np.arange(len(images)))[:, 0, 4, 4].tolist())


def test_a_table_keeps_its_sizes(root):
    splits = load(root)
    assert splits.names == ("cat", "dog")
    assert splits.train_counts == (6, 3)
    assert (len(splits.validation), len(splits.test)) == (2, 4)
    parts = [shades(part) for part in (splits.train, splits.validation, splits.test)]
    assert set.union(*parts) == {10 * k for k in range(15)}
    assert sum(map(len, parts)) == 15
    assert load(root, keep="files").fingerprint == splits.fingerprint


def test_a_table_is_made_long_tailed(root):
    assert load(root, natural=False, imbalance=3.0).train_counts == (3, 1)


def test_splits_and_tables_of_their_own_are_the_parts(root):
    lines = (root / "mine.csv").read_text().splitlines()
    parts = ["train"] * 9 + ["val"] * 2 + ["test"] * 4
    split = [f"{line},{part}" for line, part in zip(lines, ["split", *parts], strict=True)]
    (root / "split.csv").write_text("\n".join(split))
    splits = load(root, table="split.csv")
    assert shades(splits.validation) == {90, 100}
    assert shades(splits.test) == {110, 120, 130, 140}
    (root / "train.tsv").write_text("\n".join(lines[:10]).replace(",", "\t"))
    (root / "val.csv").write_text("\n".join([lines[0], *lines[10:12]]))
    (root / "test.csv").write_text("\n".join([lines[0], *lines[12:]]))
    tables = {"table": "train.tsv", "validation_table": "val.csv", "test_table": "test.csv"}
    assert load(root, **tables).fingerprint == splits.fingerprint
    for validation in ({"table": "split.csv"}, tables):
        with pytest.raises((ValueError, InputError), match="at least 1"):
            load(root, validation=0, **validation)


def test_what_is_missing_or_broken_stops_or_is_left_out(root):
    (root / "photos" / "0.png").unlink()
    (root / "photos" / "2.png").write_text("no image")
    with pytest.raises(
        EnvironmentError, match=r"1 cannot be read.*\n.*mine\.csv:2 \(0\.png\): it"
    ):
        load(root)
    splits = load(root, broken="skip")
    assert splits.broken == ("0.png", "2.png")
    assert splits.train_counts == (4, 3)


def test_paths_lead_nowhere_else(root):
    with pytest.raises(InputError, match=r"data\.table must lie below the data root"):
        load(root, table="../mine.csv")
    with pytest.raises(InputError, match=r"data\.images must lie below the data root"):
        load(root, images="/")
