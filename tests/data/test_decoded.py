import os

import numpy as np
import pytest

from raylt.data import decoded


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "set" / "batch"
    path.parent.mkdir()
    path.write_bytes(b"images")
    return path


class Decode:
    """Counts how often it had to work."""

    def __init__(self, value=7):
        self.calls = 0
        self.value = value

    def __call__(self):
        self.calls += 1
        return np.full((4, 3, 2, 2), self.value, np.uint8), np.arange(4)


def test_the_second_who_asks_maps_what_the_first_has_decoded(source):
    decode = Decode()
    first, second = decoded.once([source], decode), decoded.once([source], decode)
    assert decode.calls == 1
    for pixels, labels in (first, second):
        assert isinstance(pixels, np.memmap)
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, np.full((4, 3, 2, 2), 7))
        np.testing.assert_array_equal(labels, [0, 1, 2, 3])
    # Whoever writes to them writes to a copy.
    first[0][:] = 0
    assert second[0].min() == decoded.once([source], decode)[0].min() == 7
    assert {path.name.rpartition(".")[2] for path in source.parent.iterdir()} == {
        "batch",
        "npy",
        "sha256",
    }


def test_a_source_that_was_changed_is_decoded_again(source):
    decoded.once([source], Decode())
    source.write_bytes(b"other images")
    assert decoded.once([source], Decode(9))[0].max() == 9


def test_what_was_cut_short_is_decoded_again(source):
    decoded.once([source], Decode())
    for path in source.parent.glob("*.npy"):
        path.write_bytes(path.read_bytes()[:-1])
    decode = Decode()
    pixels, labels = decoded.once([source], decode)
    assert decode.calls == 1
    assert (pixels.shape, labels.shape) == ((4, 3, 2, 2), (4,))


def test_what_was_changed_afterwards_is_decoded_again(source):
    """Of the same size, and with the time that it had."""
    decoded.once([source], Decode())
    (pixels,) = source.parent.glob("*.pixels.npy")
    content, status = pixels.read_bytes(), pixels.stat()
    pixels.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(pixels, ns=(status.st_atime_ns, status.st_mtime_ns))
    decode = Decode()
    for _ in range(2):
        assert set(decoded.once([source], decode)[0].ravel()) == {7}
    assert decode.calls == 1


def test_what_has_no_digest_is_decoded_again(source):
    decoded.once([source], Decode())
    (digest,) = source.parent.glob("*.sha256")
    digest.unlink()
    assert decoded.once([source], Decode(9))[0].max() == 9


def test_a_folder_that_cannot_be_written_costs_nothing_but_memory(source, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    decode = Decode()
    for _ in range(2):
        pixels, _ = decoded.once([source], decode)
        assert pixels.max() == 7
    assert decode.calls == 2
    assert os.listdir(source.parent) == ["batch"]


def test_a_missing_source_is_for_the_decoder_to_complain_of(source):
    source.unlink()

    def decode():
        raise LookupError("fetch it")

    with pytest.raises(LookupError, match="fetch it"):
        decoded.once([source], decode)


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_who_may_not_read_the_dataset_may_not_read_what_it_decodes_to(source, mode):
    source.chmod(mode)
    decoded.once([source], Decode())
    kept = list(source.parent.glob(".decoded-*.npy"))
    assert [path.stat().st_mode & 0o777 for path in kept] == [mode, mode]
