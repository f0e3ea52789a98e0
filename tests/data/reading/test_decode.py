import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from raylt.data.reading import decode
from tests.data.reading.made import picture

RAMP = np.tile(np.linspace(0, 1, 24), (24, 1))


def pixels(path):
    """What is read, with every warning of a library as an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = decode.decoded(path)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("grey.png", np.round(RAMP * 65535).astype(np.uint16)),
        ("grey.tif", np.round(RAMP * 65535).astype(np.uint16)),
        ("grey.pgm", np.round(RAMP * 65535).astype(np.int32)),
        ("grey32.tif", np.round(RAMP * (2**31 - 1)).astype(np.int32)),
        ("float.tif", RAMP.astype(np.float32)),
    ],
)
def test_more_than_eight_bits_are_scaled_by_the_range_of_their_type(tmp_path, name, array):
    Image.fromarray(array).save(tmp_path / name)
    np.testing.assert_allclose(pixels(tmp_path / name)[..., 1], RAMP * 255, atol=0.51)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (RAMP.astype(np.float32) * 300, "floats from 0 to 300, and must be in 0..1"),
        (RAMP.astype(np.float32) - 0.5, r"floats from -0\.5 to 0\.5"),
        (np.full((4, 4), np.nan, np.float32), "floats from nan to nan"),
        (np.round(RAMP * 4000).astype(np.int32), "32-bit numbers from 0 to 4000"),
        (np.round(RAMP * 4000 - 9).astype(np.int32), "32-bit numbers from -9 to 3991"),
    ],
)
def test_numbers_of_no_known_range_are_refused_with_theirs(tmp_path, array, reason):
    Image.fromarray(array).save(tmp_path / "odd.tif")
    with pytest.raises(decode.Unreadable, match=reason):
        decode.decoded(tmp_path / "odd.tif")


def test_transparency_lies_over_white(tmp_path):
    half = np.full((4, 4, 4), (255, 0, 0, 128), np.uint8)
    half[:2, :, 3] = 0
    Image.fromarray(half, "RGBA").save(tmp_path / "alpha.png")
    result = pixels(tmp_path / "alpha.png")
    assert result[0, 0].tolist() == [255, 255, 255]
    assert result[3, 3].tolist() == [255, 127, 127]
    grey = Image.fromarray(half[..., 2:], "LA")
    grey.save(tmp_path / "grey.png")
    assert pixels(tmp_path / "grey.png")[0, 0].tolist() == [255, 255, 255]


def test_a_palette_and_its_transparency_are_colours(tmp_path):
    image = Image.open(picture(tmp_path / "plain.png")).convert("P")
    image.save(tmp_path / "palette.png", transparency=bytes(range(256)))
    shown = Image.open(tmp_path / "palette.png").convert("RGBA")
    white = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    assert np.array_equal(pixels(tmp_path / "palette.png"), np.asarray(white))


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "print.jpg")
    red, green, blue = pixels(tmp_path / "print.jpg")[4, 4]
    assert red > 200
    assert max(green, blue) < 60


def test_a_camera_that_was_turned_is_turned_back(tmp_path):
    upright = Image.open(picture(tmp_path / "upright.png", size=(10, 20)))
    turned, exif = upright.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # the top of the picture is at the right
    turned.save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(pixels(tmp_path / "turned.png"), np.asarray(upright))


def bomb(path):
    """A file whose header says 20,000 x 20,000 pixels."""

    def chunk(kind, content):
        sums = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", sums)

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("truncated", "truncated"),
        ("empty", "empty or no image"),
        ("html", "empty or no image"),
        ("bomb", "more than 134,217,728 pixels"),
        ("dead", "No such file"),
        ("pipe", "no regular file"),
        ("postscript", "empty or no image"),
    ],
)
def test_what_is_no_image_has_a_reason(tmp_path, case, reason):
    path = picture(tmp_path / "one.png")
    content = path.read_bytes()
    path.unlink()
    match case:
        case "truncated":
            path.write_bytes(content[:900])
        case "bomb":
            bomb(path)
        case "dead":
            path.symlink_to(tmp_path / "nowhere.png")
        case "pipe":
            os.mkfifo(path)
        case _:
            texts = {"empty": b"", "html": b"<html>404</html>", "postscript": b"%!PS-Adobe-3.0\n"}
            path.write_bytes(texts[case])
    for look in (decode.decoded, decode.header) if case != "truncated" else (decode.decoded,):
        with pytest.raises(decode.Unreadable, match=reason):
            look(path)


def test_suffixes_are_those_that_pillow_reads_by_itself():
    assert {".png", ".jpg", ".jpeg", ".pgm", ".webp", ".tiff", ".bmp"} <= decode.suffixes()
    assert not {".pdf", ".h5", ".mpg", ".eps", ".txt"} & decode.suffixes()
