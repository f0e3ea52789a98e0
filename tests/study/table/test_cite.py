import re

import pytest

from raylt import plugins
from raylt.study.table import cite

OWN = ("folder", "table")


@pytest.mark.parametrize(
    ("package", "name"),
    [(p, n) for p in ("methods", "datasets") for n in plugins.files(p) if n not in OWN],
)
def test_every_method_and_dataset_of_a_paper_has_its_entry(package, name):
    entry = cite.entry(package, name)
    assert re.fullmatch(r"@\w+\{[a-z]+\d{4}[a-z]+,\n.*\n\}", entry, re.DOTALL)
    assert entry.count("{") == entry.count("}")
    fields = dict(re.findall(r"^  (\w+)=\{(.*?)\},?$", entry, re.MULTILINE | re.DOTALL))
    assert {"title", "author", "year"} < set(fields)
    assert fields["year"] in cite.key(entry)
    assert all("," in author for author in fields["author"].split(" and "))


def test_one_key_is_one_entry():
    entries = {cite.entry(p, n) for p in ("methods", "datasets") for n in plugins.files(p)}
    keys = [cite.key(entry) for entry in entries if entry]
    assert len(set(keys)) == len(keys)


def test_own_images_are_cited_by_nothing():
    assert cite.entry("datasets", "folder") == ""
    assert cite.key("") == ""
