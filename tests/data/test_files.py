import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from raylt.data import files
from raylt.data.files import FileImages
from raylt.schema import EnvironmentError, InputError


def photograph(height, width, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def images(tmp_path):
    sizes = [(40, 60), (90, 30), (28, 28), (20, 33), (50, 64), (31, 77)]
    names = []
    for k, (height, width) in enumerate(sizes):
        (tmp_path / f"class{k % 2}").mkdir(exist_ok=True)
        names.append(f"class{k % 2}/{k}.png")
        photograph(height, width, k).save(tmp_path / names[-1])
    return FileImages(tmp_path, np.array(names), np.arange(6), 28, 2)


def test_evaluation_shows_the_centre_as_torchvision_does(images):
    evaluate = transforms.Compose(
        [
            transforms.Resize(32),
            transforms.CenterCrop(28),
            transforms.PILToTensor(),
        ]
    )
    order = (0, 2, 1, 5, 4, 3)
    shown = images.take(np.array(order))
    assert shown.shape == (6, 3, 28, 28)
    for mine, index in zip(shown, order, strict=True):
        expected = evaluate(Image.open(images.root / images.names[index])).numpy()
        # Its default is bilinear, as the papers' programs have it.
        assert np.abs(mine.astype(int) - expected).max() == 0


def test_images_without_colours_or_with_a_mask_become_colour_images(images):
    photograph(30, 30).convert("L").save(images.root / images.names[0])
    photograph(30, 30).convert("RGBA").save(images.root / images.names[1])
    photograph(30, 30).convert("P").save(images.root / images.names[2])
    assert images.take(np.arange(3)).shape == (3, 3, 28, 28)


def test_a_part_keeps_names_and_labels_together(images):
    part = images.only(np.array([3, 1]))
    assert len(part) == 2
    assert part.labels.tolist() == [3, 1]
    np.testing.assert_array_equal(part.take(np.array([1])), images.take(np.array([1])))


@pytest.mark.parametrize("harm", ["gone", "text", "cut"])
def test_a_damaged_image_is_named(images, harm):
    path = images.root / images.names[2]
    if harm == "gone":
        path.unlink()
    elif harm == "text":
        path.write_text("<html>")
    else:
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(EnvironmentError, match=r"class0/2\.png must be an image"):
        images.take(np.arange(4))


def test_a_list_gives_paths_and_classes(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("train/a b.jpg 0\n\ntrain/c.jpg  12\n", "utf-8")
    names, labels = files.read_list(path, classes=13)
    assert names.tolist() == ["train/a b.jpg", "train/c.jpg"]
    assert labels.tolist() == [0, 12]


@pytest.mark.parametrize(
    "line", ["train/a.jpg", "train/a.jpg 13", "train/a.jpg -1", "train/a.jpg 1.0", "7", "a.jpg,3"]
)
def test_an_unknown_line_is_named(tmp_path, line):
    path = tmp_path / "list.txt"
    path.write_text(f"train/b.jpg 0\n{line}\n")
    with pytest.raises(InputError, match=r"list\.txt:2: must be a path and a class from 0 to 12"):
        files.read_list(path, classes=13)


def test_a_missing_or_empty_list_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.txt"):
        files.read_list(tmp_path / "absent.txt", classes=2)
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match=r"empty\.txt is empty"):
        files.read_list(tmp_path / "empty.txt", classes=2)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.txt"):
        files.read_list(tmp_path / "binary.txt", classes=2)


def test_missing_images_are_counted_and_one_is_named(images, tmp_path):
    files.require_all(images.root, images.names, source=tmp_path / "list.txt")
    names = [*images.names, "class0/9.png", "nowhere/1.png"]
    with pytest.raises(EnvironmentError, match=r"2 of 8 do not, such as class0/9\.png"):
        files.require_all(images.root, names, source=tmp_path / "list.txt")
