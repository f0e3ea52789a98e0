from pathlib import Path

import pytest

from raylt.data.reading import paths
from raylt.schema import InputError


@pytest.mark.parametrize("name", ["../other", "a/../../b", "/etc/passwd"])
def test_a_path_does_not_lead_out_of_the_root(tmp_path, name):
    with pytest.raises(InputError, match=r"data\.images must lie below the data root"):
        paths.below(tmp_path, name, "images")


def test_links_of_the_users_own_may_lead_elsewhere(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "real").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "real")
    link = tmp_path / "root" / "link"
    assert paths.below(tmp_path / "root", "link", "images") == link
    assert paths.below(tmp_path / "root", str(link), "images") == link
    assert paths.below(Path("data"), "a/../b", "images") == Path("data/b")


def test_every_name_can_be_shown():
    assert paths.shown("caf\udce9.png") == "caf\\xe9.png"
    assert paths.shown("名.png") == "名.png"


def test_a_listing_ends_with_a_count():
    assert paths.listing(["a", "b"]) == "  a\n  b"
    assert paths.listing([str(i) for i in range(22)]).endswith("  19\n  and 2 more")
