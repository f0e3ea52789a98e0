import itertools

import torch

from benchmarks import __main__ as results
from benchmarks import pairs, trials
from benchmarks.pairs import Pair
from raylt.data.augment import CALM


def test_the_ratio_is_the_median_of_the_rounds_own_ratios():
    # Times on a clock that the works turn: the first run of each is not measured.
    now = [0.0]
    slow, fast = itertools.cycle([9.0, 4.0, 10.0, 6.0]), itertools.cycle([9.0, 2.0, 1.0, 2.0])

    def turn(durations):
        now[0] += next(durations)

    pair = Pair("toy", lambda: turn(slow), lambda: turn(fast), goal=4.0)
    timed = pairs.measure(pair, rounds=3, clock=lambda: now[0])
    assert timed.ratios == (2.0, 10.0, 3.0)
    assert timed.ratio == 3.0
    assert timed.verdict == "4, missed"
    assert "**3.00**" in pairs.table([timed], unit="s")[2]


def test_an_interval_holds_its_mean():
    row = trials.row("toy", [0.9, 0.8, 0.85], [0.8, 0.8, 0.8])
    assert row == "| toy | 85.0 | 80.0 | +5.00 | -7.42 ... +17.42 |"


def test_a_section_is_replaced_in_its_place_and_others_stay(tmp_path):
    path = tmp_path / "RESULTS.md"
    results.write(path, "steps", ["old steps"])
    results.write(path, "search", ["old search"])
    path.write_text(path.read_text() + "\n## Written by hand\n")
    results.write(path, "steps", [r"new \1 steps"])
    text = path.read_text()
    assert text.startswith("# Results")
    assert r"new \1 steps" in text
    assert "old steps" not in text
    assert text.index("steps") < text.index("old search") < text.index("Written by hand")


def test_numbers_name_where_they_come_from():
    line = results.provenance("load 0.1 on 2 cores")
    for word in ("load 0.1", "Python 3", "torch", "ray", "commit", "UTC"):
        assert word in line


def test_images_one_by_one_stand_in_for_a_batch():
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    params = CALM.model_copy(update={"crop": 0.5, "jitter": 0.5})
    generator = torch.Generator().manual_seed(0)
    made = trials.per_image(images, size=16, params=params, generator=generator)
    assert made.shape == (3, 1, 16, 16)
