import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from raylt.data import files
from raylt.data.files import FileImages
from raylt.schema import EnvironmentError


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
    with pytest.raises(EnvironmentError, match=r"1 cannot be read; .*\n  .*class0/2\.png: "):
        images.take(np.arange(4))
    with pytest.raises(EnvironmentError, match=r"class0/2\.png"):
        images.open(2)


def test_all_damaged_images_are_named_at_once(images):
    for index in (1, 4):
        (images.root / images.names[index]).write_text("no image")
    with pytest.raises(EnvironmentError, match=r"2 cannot .*\n  .*1\.png: .*\n  .*4\.png: "):
        images.take(np.arange(6))
    pixels, reasons = images.decoded(np.arange(6))
    assert reasons == {index: "it is empty or no image" for index in (1, 4)}
    assert [bool(image.any()) for image in pixels] == [True, False, True, True, False, True]


def test_a_line_of_pixels_does_not_become_a_band_of_gigabytes():
    line = Image.new("RGB", (20_000, 1), (7, 8, 9))
    assert files.centred(line, 224).getpixel((100, 100)) == (7, 8, 9)
