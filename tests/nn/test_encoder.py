import torch
from torch.testing import assert_close

from raylt import encoders

GREY = {"channels": 1, "mean": (0.5,), "std": (0.25,)}


def test_pixels_are_normalised_first():
    plain = encoders.build("small", channels=1, size=8, mean=(0.0,), std=(1.0,)).eval()
    shifted = encoders.build("small", size=8, **GREY).eval()
    assert "mean" in shifted.state_dict()
    shifted.load_state_dict(plain.state_dict() | {"mean": shifted.mean, "std": shifted.std})
    pixels = torch.rand(2, 1, 8, 8)
    assert_close(shifted(pixels), plain((pixels - 0.5) / 0.25))
