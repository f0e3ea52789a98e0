import subprocess
import sys
from pathlib import Path

import pytest

PACKED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def cifar100_root(pytestconfig):
    """A folder with the real CIFAR-100; unpacked once for all runs, in about a minute."""
    if not (PACKED / "unpack_cifar100.py").is_file():
        pytest.skip(f"the real CIFAR-100 is not at hand: no {PACKED}")
    root = Path(pytestconfig.cache.mkdir("cifar100"))
    if not (root / "cifar-100-python" / "meta").is_file():
        subprocess.run([sys.executable, PACKED / "unpack_cifar100.py", root], check=True)
    return root


@pytest.fixture
def linked_root(cifar100_root, tmp_path):
    """A data root with CIFAR-100 by links, where a test may lay files of its own."""
    for entry in cifar100_root.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


@pytest.fixture(scope="session")
def released_splits():
    """The folder of the index files that SDCLR's authors released for CIFAR-100."""
    folder = PACKED / "sdclr-splits"
    if not folder.is_dir():
        pytest.skip(f"the released splits are not at hand: no {folder}")
    return folder
