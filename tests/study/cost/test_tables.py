"""What a study cost: every trial once, against its budget and what was foreseen."""

import pytest

from raylt.study.cost import forecast, tables
from raylt.study.cost.announce import ForecastListener
from raylt.study.cost.forecast import Means
from raylt.study.record import text
from raylt.study.report import charts
from raylt.study.report import page as report
from raylt.study.resources.allocation import Allocation
from raylt.trial.cost.cost import Cost
from tests.cluster.made import node, shape
from tests.study import made

CORES = 2
"""`made.study` books two cores and half a GPU for each trial."""


def cells(table):
    heads, rows = table
    return {row[0]: dict(zip(heads[1:], row[1:], strict=True)) for row in rows}


def hours(record, rate):
    return sum(rate * one.seconds for one in record.outcomes()) / 3600


def test_hours_are_those_of_all_trials_against_the_budget(tmp_path):
    record = made.study(tmp_path, "study.budget={cpu_hours: 2.0, wall_clock: 30m}", trials=4)
    record.note("wall_seconds", 900.0)
    found = cells(tables.hours(record))
    cpu = hours(record, CORES)
    assert float(found["CPU-hours"]["used"]) == pytest.approx(cpu, rel=5e-3)
    assert float(found["CPU-hours"]["a trial"]) == pytest.approx(cpu / 4, rel=5e-3)
    assert found["CPU-hours"]["budget"] == "2"
    assert found["CPU-hours"]["used of it"] == f"{100 * cpu / 2:.0f} %"
    assert float(found["GPU-hours"]["used"]) == pytest.approx(hours(record, 0.5), rel=5e-3)
    assert found["GPU-hours"]["budget"] == found["GPU-hours"]["used of it"] == "-"
    assert found["hours on the clock"] == {
        "used": "0.25",
        "a trial": "-",
        "budget": "0.5",
        "used of it": "50 %",
        "forecast": "-",
    }


def test_states_share_the_whole_among_them(tmp_path):
    record = made.study(tmp_path, trials=10)
    found = cells(tables.states(record.outcomes()))
    assert set(found) == {"complete", "stopped", "failed"}
    assert sum(int(row["trials"]) for row in found.values()) == 10
    total = sum(float(row["CPU-hours"]) for row in found.values())
    assert total == pytest.approx(hours(record, CORES), rel=1e-2)


def test_a_forecast_that_was_told_stands_beside_what_was_used(tmp_path):
    record = made.study(tmp_path, trials=4)
    assert not any("forecast" in line for line in tables.text(record))
    recipe = record.space.at(record.space.baseline_point)
    cost = Cost(
        start=0.0,
        epoch=60.0,
        score=0.0,
        save=0.0,
        disk=0,
        memory=0,
        gpu_memory=0,
        gpu_size=0,
        gpu_busy=0.0,
        device="",
    )
    means = Means(workers=1, cpus=2, gpus=0, concurrent=2)
    seen = forecast.forecast(record.space, [(recipe, cost)], means, trials=4)
    tables.foresee(record, seen, source="from the baseline")
    assert float(cells(tables.hours(record))["CPU-hours"]["forecast"]) == pytest.approx(
        seen.cpu_hours, rel=5e-3
    )
    assert "The forecast was for 4 trials, from the baseline." in tables.text(record)


def test_the_time_of_a_baseline_is_not_divided_among_its_workers_again(tmp_path):
    wall = {}
    for workers in (1, 4):
        name = f"by{workers}"
        record = made.study(tmp_path, "study.budget.wall_clock=9h", name=name, failed=())
        share = Allocation(shape=shape(workers=workers), concurrent=1, machines=(node(4),))
        ForecastListener(record, share, runs=tmp_path, threads=1, say=str)
        wall[workers] = tables.foreseen(record)["wall_clock"]
    assert wall[1] == wall[4]
    # The baseline took a minute, and no trial takes longer than it.
    assert 60 <= 3600 * wall[1] <= 12 * 60


def test_the_page_tells_every_trial_its_hours(tmp_path):
    record = made.study(tmp_path, trials=3, failed=(), stopped=(), tables=False)
    page = report.page(record, charts.of_study(record))
    ranking = page[page.index("<h2>Ranking") : page.index("<h2>Costs")]
    for one in record.outcomes():
        assert f"<td>{text.hours(one.cpu_seconds / 3600)}</td>" in ranking
    assert "<td>CPU-hours</td><td>" in page
