"""One image file to eight-bit colour, as a viewer shows it."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

# What Pillow thinks of an image it reads all the same is no news for a user.
warnings.filterwarnings("ignore", module=r"PIL\.")

_UNREADABLE = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow knows by name and cannot read by itself; for EPS it starts Ghostscript."""
_LARGEST = 2**27
"""Pixels of the largest image that is read, 134 million."""
_INT16, _INT32 = 2**16 - 1, 2**31 - 1


class Unreadable(Exception):
    """An image that cannot be read; the text is the reason."""


@cache
def formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read."""
    Image.init()
    return tuple(name for name in Image.OPEN if name not in _UNREADABLE)


@cache
def suffixes() -> frozenset[str]:
    """The endings of image files, in small letters: all that Pillow reads."""
    known = set(formats())
    return frozenset(end for end, name in Image.registered_extensions().items() if name in known)


def header(path: Path) -> tuple[tuple[int, int], str]:
    """Width, height and Pillow's mode of an image, without its pixels.

    Raises:
        Unreadable: the file is missing, huge or no image.
    """
    with _opened(path) as image:
        return image.size, image.mode


def decoded(path: Path) -> Image.Image:
    """An image in eight-bit RGB, upright and at its own size.

    Orientation from EXIF is applied, transparency lies over white, palettes and CMYK become RGB.
    16-bit pixels are scaled by the range of their type and floats are taken as 0..1.

    Raises:
        Unreadable: the file is missing, huge or no image, or its numbers are in no known range.
    """
    with _opened(path) as image:
        try:
            return _rgb(ImageOps.exif_transpose(image), image.format)
        except Unreadable:
            raise
        except Exception as error:
            # Pillow's readers fail on damaged files in every way that Python knows.
            raise Unreadable(_reason(error)) from error


def _opened(path: Path) -> Image.Image:
    try:
        # Pillow would wait for ever for somebody to write into a pipe.
        if path.exists() and not path.is_file():
            raise Unreadable("it is no regular file")
        image = Image.open(path, formats=formats())
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(_reason(error)) from error
    if image.width * image.height > _LARGEST:
        image.close()
        raise Unreadable(
            f"it has {image.width} x {image.height} pixels, more than {_LARGEST:,}; shrink it"
        )
    return image


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {_LARGEST:,} pixels; shrink it"
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is empty or no image"
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__


def _rgb(image: Image.Image, form: str | None) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(_eight_bit(image, form)).convert("RGB")
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: Image.Image, form: str | None) -> NDArray[np.uint8]:
    """Grey pixels of more than eight bits, scaled by the range of their type."""
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if image.mode == "F":
        if not (low >= 0 and high <= 1):
            raise Unreadable(
                f"its pixels are floats from {low:g} to {high:g}, and must be in 0..1; divide them"
            )
        return np.round(values * 255).astype(np.uint8)
    # Pillow shows 16-bit PGM and PNG files as 32-bit numbers.
    short = image.mode != "I" or form in ("PNG", "PPM")
    most = _INT16 if short else _INT32
    if low < 0 or (not short and 0 < high < most / 255):
        raise Unreadable(
            f"its pixels are 32-bit numbers from {low} to {high}, which would be black; save it "
            "with 8 or 16 bits"
        )
    return np.round(values * (255 / most)).astype(np.uint8)
