"""What a study cost: every trial once, against its budget."""

from dataclasses import replace

import pytest

from raylt.study.cost import tables
from raylt.study.record import text
from raylt.study.report import charts, page
from tests.study import made

CORES = 2
"""`made.study` books two cores and half a GPU for each trial."""


def cells(table):
    heads, rows = table
    return {row[0]: dict(zip(heads[1:], row[1:], strict=True)) for row in rows}


def hours(record, rate):
    return sum(rate * trial.seconds for trial in record.outcomes()) / 3600


def test_hours_are_those_of_all_trials_against_the_budget(tmp_path):
    record = made.study(tmp_path, "study.budget={cpu_hours: 2.0, wall_clock: 30m}", trials=4)
    record.note("wall_seconds", 900.0)
    result = cells(tables.hours(record))
    cpu = hours(record, CORES)
    assert float(result["CPU-hours"]["used"]) == pytest.approx(cpu, rel=5e-3)
    assert float(result["CPU-hours"]["a trial"]) == pytest.approx(cpu / 4, rel=5e-3)
    assert result["CPU-hours"]["budget"] == "2"
    assert result["CPU-hours"]["used of it"] == f"{100 * cpu / 2:.0f} %"
    assert float(result["GPU-hours"]["used"]) == pytest.approx(hours(record, 0.5), rel=5e-3)
    assert result["GPU-hours"]["budget"] == result["GPU-hours"]["used of it"] == "-"
    assert result["time on the clock"] == {
        "used": "15m00s",
        "a trial": "-",
        "budget": "30m00s",
        "used of it": "50 %",
    }


def test_runs_over_fresh_seeds_are_told_apart_from_the_search(tmp_path):
    record = made.study(tmp_path, trials=2, tables=False)
    assert not any("confirm" in line for line in tables.sentences(record, []))
    run = record.outcome(0)
    fresh = [
        replace(run, role=role, cpu_seconds=seconds, gpu_seconds=0.0)
        for role, seconds in (("baseline", 720), ("candidate", 1440), ("ablation", 3240))
    ]
    _, shares, _ = tables.sentences(record, fresh)
    cpu, gpu = (text.hours(hours(record, rate)) for rate in (CORES, 0.5))
    assert shares == (
        f"Search {cpu}, confirm 0.6, ablate 0.9 CPU-hours; "
        f"search {gpu}, confirm 0, ablate 0 GPU-hours."
    )
    _, shares, _ = tables.sentences(record, fresh[:2])
    assert shares.startswith(f"Search {cpu}, confirm 0.6 CPU-hours; ")


def test_states_share_the_whole_among_them(tmp_path):
    record = made.study(tmp_path, trials=10)
    result = cells(tables.states(record.outcomes()))
    assert set(result) == {"complete", "stopped", "failed"}
    assert sum(int(row["trials"]) for row in result.values()) == 10
    total = sum(float(row["CPU-hours"]) for row in result.values())
    assert total == pytest.approx(hours(record, CORES), rel=1e-2)


def test_the_page_tells_every_trial_its_hours(tmp_path):
    record = made.study(tmp_path, trials=3, failed=(), stopped=(), tables=False)
    document = page.page(record, charts.of_study(record))
    ranking = document[document.index("<h2>Ranking") : document.index("<h2>Costs")]
    for trial in record.outcomes():
        assert f"<td>{text.hours(trial.cpu_seconds / 3600)}</td>" in ranking
    assert "<td>CPU-hours</td><td>" in document
