import pytest

from raylt.data.reading.collection import Part, collected
from raylt.schema import InputError
from tests.data.reading.made import picture


def test_of_many_repetitions_twenty_are_named(tmp_path):
    names = [f"{i}.png" for i in range(30)]
    for name in names:
        picture(tmp_path / name, size=(2, 2))
    part = Part(tmp_path, names, [0] * 30, "mine")
    with pytest.raises(InputError, match="30 are not") as caught:
        collected(["a"], {"train": part, "test": part}, {})
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1].strip()) == (22, "and 10 more")
