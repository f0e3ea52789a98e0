"""What people see: the MLflow UI over a finished study and the report, in a real browser."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from raylt.study.record import studies
from raylt.study.report.page import write
from raylt.study.tracking import store, tracker
from tests.study import browser, made

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("RAYLT_SHOTS")
"""A folder for screenshots; none are kept where it is not set."""
ACCURACY = "val/accuracy"
REPORT = "report.html"
ROWS = (
    "[...document.querySelectorAll('.ag-pinned-left-cols-container .ag-row, "
    ".ag-center-cols-container .ag-row')].filter(e => /trial \\d/.test(e.innerText))"
    ".sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index'))"
    ".map(e => e.innerText.match(/trial \\d+( .baseline.)?/)[0])"
)
"""The names of the trials in the table of runs, from the top."""
NODES = "[...document.querySelectorAll('[class*=tree-treenode]')]"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of runs with one finished study, tracked in MLflow."""
    folder = tmp_path_factory.mktemp("runs")
    record = made.study(folder, trials=18)
    mirror = tracker.open_mirror(
        record,
        uri=store.default_uri(folder),
        artifacts=folder / "artifacts",
        command="raylt tune --space search_spaces/sdclr.yaml",
    )
    for number in mirror.missing():
        mirror.trial(number, interrupted=False)
    mirror.finish(interrupted=False)
    write(record, folder / "report.html")
    record.close()
    return folder


@pytest.fixture
def page(tmp_path):
    with browser.page(tmp_path) as opened:
        yield opened


@contextlib.contextmanager
def served(runs):
    """`raylt ui` over the runs; its address, and the links that it prints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "raylt", "ui", "--runs", str(runs), "--port", str(port)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            lines = [server.stdout.readline().strip() for _ in range(6)]
            end = time.monotonic() + 120
            while time.monotonic() < end and server.poll() is None:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    break
                time.sleep(0.3)
            else:
                raise AssertionError("the MLflow UI never came up")
            links = [line for line in lines if line.startswith("http://")]
            yield f"http://127.0.0.1:{port}", links
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)


def keep(page, name, **options):
    if SHOTS:
        page.screenshot(Path(SHOTS) / name, **options)


def test_the_report_draws_every_chart_without_a_network(runs, page):
    page.call(
        "Network.emulateNetworkConditions",
        offline=True,
        latency=0,
        downloadThroughput=0,
        uploadThroughput=0,
    )
    path = runs / "report.html"
    page.open(path.as_uri())
    wanted = len(re.findall("<div id='chart-", path.read_text("utf-8")))
    assert wanted == 9
    page.wait(f"document.querySelectorAll('.js-plotly-plot .main-svg').length >= {wanted}")
    drawn = page.value(
        "[...document.querySelectorAll('[id^=chart-]')].map(e => [e.id, e.querySelectorAll("
        "'.points path, .lines path, .bars path, .gl-canvas').length])"
    )
    assert len(drawn) == wanted
    assert all(marks > 0 for _, marks in drawn), drawn
    # Parallel coordinates draw by WebGL and say so on the page where they cannot.
    assert "WebGL is not supported" not in page.text()
    assert page.errors == []
    loaded = [url for url in page.requests if not url.startswith(("data:", "blob:"))]
    assert loaded == [path.as_uri()]
    keep(page, "report.png")
    page.value("document.querySelector('#chart-parallel').scrollIntoView({block: 'center'})")
    keep(page, "report-search.png")


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("dark", [False, True])
def test_the_report_suits_every_screen_by_day_and_by_night(runs, page, width, dark):
    browser.show(page, runs / REPORT, width=width, dark=dark)
    assert page.value("document.documentElement.scrollWidth <= innerWidth")
    assert page.value(browser.COVERED) == []
    words, charts = page.value(browser.CONTRAST)
    assert words >= 4.5
    assert charts >= 4.5
    ground = page.value("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") != dark
    keep(page, f"report-{width}{'-dark' if dark else ''}.png", whole=True)


def test_the_ranking_is_sorted_by_any_column_with_mouse_and_keys(runs, page):
    browser.show(page, runs / REPORT, width=1440)
    button = "[...document.querySelectorAll('th button')].find(e => e.textContent === '{}')"
    column = page.value(f"{button.format('few')}.closest('th').cellIndex + 1")
    ranking = "[...document.querySelectorAll('th button')][0].closest('table')"
    values = f"[...{ranking}.querySelectorAll('td:nth-child({column})')].map(e => e.textContent)"
    page.press(button.format("few"))
    shown = page.value(values)
    numbers = [float(text) for text in shown if text != "-"]
    assert numbers == sorted(numbers, reverse=True)
    assert shown == [*(text for text in shown if text != "-"), *("-" for t in shown if t == "-")]
    assert page.value(f"{button.format('few')}.closest('th').ariaSort") == "descending"
    # Enter on the head that has the focus turns it round.
    page.value(f"{button.format('few')}.focus()")
    for kind in ("keyDown", "keyUp"):
        page.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            text="\r",
            windowsVirtualKeyCode=13,
        )
    again = [float(text) for text in page.value(values) if text != "-"]
    assert again == sorted(numbers)
    assert page.value(f"{button.format('few')}.closest('th').ariaSort") == "ascending"


def test_trials_are_selected_and_compared_in_the_mlflow_ui(runs, page):
    with served(runs) as (address, _):
        page.open(f"{address}/#/experiments/1/runs")
        page.wait("document.body && document.body.innerText.includes('19 matching')")
        # MLflow's assistant is a button and not a panel over the page.
        assert page.value("document.querySelectorAll('[aria-label=Close]').length") == 0
        _unfold_the_study(page)
        _show_split_metrics(page)
        keep(page, "mlflow-runs.png")
        _compare_two(page)
        keep(page, "mlflow-compare.png")
        _look_at_the_machine(page, address, runs)
        keep(page, "mlflow-system.png")


def test_both_links_of_the_ui_land_on_the_trials_in_a_fresh_browser(runs, tmp_path):
    with contextlib.closing(studies.open_study("made", runs)) as record:
        scored = [trial for trial in record.outcomes() if trial.last]
        baseline = record.baseline().number
        study = record.facts["mlflow:study"]
    scored.sort(key=lambda trial: trial.last["val/accuracy"], reverse=True)
    best_first = [
        f"trial {trial.number}{' (baseline)' if trial.number == baseline else ''}"
        for trial in scored
    ]
    with served(runs) as (address, (trials, compare)):
        with browser.page(tmp_path / "trials") as page:
            page.open(trials)
            page.wait("document.body && document.body.innerText.includes('18 matching')")
            rows = page.wait(
                f"(() => {{ const rows = {ROWS}; return rows.length > 9 && rows; }})()"
            )
            assert rows[:10] == best_first[:10]
            heads = page.value(
                "[...document.querySelectorAll('.ag-header-cell')].map(e => e.innerText.trim())"
            )
            for head in ("val/accuracy", "val/many", "val/few", "method.prune", "state"):
                assert head in heads
            keep(page, "mlflow-trials.png")
        with browser.page(tmp_path / "compare") as page:
            page.open(compare)
            axes = page.wait(
                "(() => { const found = [...document.querySelectorAll('.dimension .label')]"
                ".map(e => e.textContent); return found.length > 8 && found; })()"
            )
            leaves = ["method.temperature", "method.prune", "method.head_depth"]
            assert axes[:4] == [*leaves, ACCURACY]
            assert set(axes[4:]) == {*leaves, "method.random_share", ACCURACY}
            names = page.wait(f"(() => {{ const rows = {ROWS}; return rows.length && rows; }})()")
            assert "trial 0 (baseline)" in names
            assert names[0] == best_first[0]
            page.wait(f"document.body.innerText.includes('{ACCURACY}')")
            keep(page, "mlflow-best.png")
        with browser.page(tmp_path / "study") as page:
            # The links in the description of the study lead there on any host and port.
            page.open(f"{address}/#/experiments/{study['experiment']}/runs/{study['run']}")
            for link in (trials, compare):
                place = json.dumps(link[link.index("#") :])
                assert page.wait(
                    f"[...document.querySelectorAll('a')].some(e => e.href.endsWith({place}))"
                )
            # A page without a word on it in its link is of machine learning, too.
            assert "Model registry" in page.text()
            assert "Judges" not in page.text()


def _unfold_the_study(page):
    assert "trial 0" not in page.text()
    page.press("document.querySelector('.ag-row [col-id*=ame] button')")
    page.wait("document.body.innerText.includes('trial 17')")


def _show_split_metrics(page):
    page.press("document.querySelector('[data-testid=column-selection-dropdown]')")
    page.wait(f"{NODES}.some(e => e.innerText.startsWith('Metrics'))")
    page.call("Input.insertText", text="val/")
    page.wait(f"{NODES}.some(e => e.innerText.startsWith('Metrics (6)'))")
    page.press(
        f"{NODES}.find(e => e.innerText.startsWith('Metrics')).querySelector('[class*=checkbox]')"
    )
    for group in ("many", "medium", "few"):
        cells = f"[...document.querySelectorAll('.ag-row [col-id*=\"val/{group}\"]')]"
        # Seventeen trials have a score; the failed one and the study have none.
        result = page.wait(f"{cells}.length >= 19 && {cells}.map(e => e.innerText)")
        assert sum(bool(re.fullmatch(r"0\.\d+|1", text)) for text in result) == 17, result
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="Escape", windowsVirtualKeyCode=27)


def _look_at_the_machine(page, address, runs):
    """The readings of a trial's machine are in MLflow's own tab for them."""
    with contextlib.closing(studies.open_study("made", runs)) as record:
        run = record.facts["mlflow:trial/0"]["run"]
    page.open(f"{address}/#/experiments/1/runs/{run}/system-metrics")
    page.wait("document.body.innerText.includes('cpu_utilization_percentage')")
    page.wait("document.querySelectorAll('.js-plotly-plot .main-svg').length > 0")


def _compare_two(page):
    for name in ("trial 0 (baseline)", "trial 1"):
        page.press(
            "(() => { const link = [...document.querySelectorAll('.ag-row a')]"
            f".find(e => e.innerText.trim() === {json.dumps(name)}); if (!link) return null; "
            "const row = link.closest('.ag-row').getAttribute('row-index'); "
            "return document.querySelector(`.ag-row[row-index='${row}'] .ag-selection-checkbox "
            "input`); })()"
        )
    # The table still moves as it fills, and a click may miss the button.
    page.press_until(
        "[...document.querySelectorAll('button')].find(e => e.innerText === 'Compare')",
        "document.body.innerText.includes('Comparing 2 Runs from 1 Experiment')",
    )
    # Parallel coordinates of the open leaves and a metric.
    page.wait("document.querySelectorAll('.js-plotly-plot .gl-canvas').length > 0")
    axes = page.wait(
        "(() => { const found = [...document.querySelectorAll('.parcoords .axis-title')]"
        ".map(e => e.textContent); return found.length > 2 && found; })()"
    )
    assert "method.prune" in axes
    assert "val/accuracy" in axes
