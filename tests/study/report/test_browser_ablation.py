"""The ablation's section of a report in a real browser, with names as long as BCL's."""

import random
from dataclasses import replace

import pytest

from raylt.study.report.page import write
from raylt.study.verdict import answer
from tests.study import browser, made
from tests.study.verdict.made import ablated

pytestmark = pytest.mark.browser

CHANGES = ("temperature", "complement_weight", "contrastive_weight", "classifier + cosine_scale")
PARTS = (
    "no class averaging",
    "no class complement",
    "no logit adjustment",
    "no contrast",
    "cosine classifier",
)
CHARTS = "[id^=chart-ablation], [id^=chart-path]"
CUT = (
    f"[...document.querySelectorAll('{CHARTS}')]"
    + """.flatMap(chart => {
  // Words of a chart that leave its frame, and those that lie on each other.
  const frame = chart.getBoundingClientRect();
  const texts = [...chart.querySelectorAll('svg.main-svg text')].filter(e => e.textContent.trim());
  const boxes = texts.map(e => e.getBoundingClientRect());
  const cut = texts.filter((_, i) => boxes[i].left < frame.left || boxes[i].right > frame.right
    || boxes[i].top < frame.top || boxes[i].bottom > frame.bottom);
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
  const covered = texts.filter((_, i) => boxes.some((box, j) => j < i && meet(box, boxes[i])));
  return [...cut, ...covered].map(e => e.textContent);
})"""
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a study whose winner differs in four changes from the baseline."""
    folder, rng = tmp_path_factory.mktemp("ablated"), random.Random(1)
    compared = [
        ("whole", "all changes"),
        *((way, name) for way in ("out", "in") for name in CHANGES),
        *(("declared", name) for name in PARTS),
    ]
    leads = {key: [rng.gauss(0.03, 0.02) for _ in range(9)] for key in compared}
    study = made.study(folder, trials=6, stopped=(5,))
    (study.folder / answer.FOLDER).mkdir()
    for metric in ("val/accuracy", "test/accuracy"):
        known = ablated(leads, metric=metric)
        # The longest word on a change.
        effects = (*known.effects[:-1], replace(known.effects[-1], dropped=4))
        answer.store(study, replace(known, effects=effects))
    write(study, folder / "report.html")
    study.close()
    return folder / "report.html"


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_of_an_ablation_is_cut_or_covered_by_day_and_by_night(
    report, tmp_path, width, dark
):
    with browser.page(tmp_path) as page:
        browser.show(page, report, width=width, dark=dark)
        assert page.value("document.documentElement.scrollWidth <= innerWidth")
        assert page.value(browser.COVERED) == []
        assert page.value(CUT) == []
        for chart, names in {
            "ablation": ("all changes", *CHANGES, *CHANGES, *PARTS),
            "path": ("baseline", *CHANGES),
            "ablation_test": ("all changes", *CHANGES, *CHANGES, *PARTS),
            "path_test": ("baseline", *CHANGES),
        }.items():
            ticks = f"[...document.querySelectorAll('#chart-{chart} .ytick text')]"
            assert page.value(f"{ticks}.map(e => e.textContent)") == list(names)
            below = (
                f"document.querySelector('#chart-{chart}').closest('figure').nextElementSibling"
            )
            text = page.value(f"{below}.querySelector('table').innerText")
            assert all(name in text for name in names)
            # All of its columns are in sight, on a phone too; what a way shows is said once.
            assert page.value(f"{below}.scrollWidth <= {below}.clientWidth")
            assert text.count("taken over alone") == (not chart.startswith("path"))
        words, charts = page.value(browser.CONTRAST)
        assert min(words, charts) >= 4.5
        assert page.errors == []
