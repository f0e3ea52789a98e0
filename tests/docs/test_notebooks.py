"""The notebooks of the documentation run, and show what they did when they ran last."""

import contextlib
import importlib.util
from pathlib import Path

import nbformat
import pytest

from raylt.study.report import charts
from raylt.study.report.figures import Figures
from tests.study import made

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def outputs(notebook):
    return [out for cell in notebook.cells for out in cell.get("outputs", ())]


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_its_outputs_small_and_of_no_machine(path):
    text = path.read_text("utf-8")
    shown = outputs(nbformat.reads(text, as_version=4))
    assert shown
    assert {out.output_type for out in shown} <= {"execute_result", "display_data", "stream"}
    assert len(text) < 200_000
    assert str(FOLDER.parents[1]) not in text


@pytest.mark.parametrize("chart", ["parallel", "curves"])
def test_the_kept_charts_are_laid_out_as_those_of_today(chart, tmp_path):
    notebook = nbformat.read(FOLDER / "first_search.ipynb", as_version=4)
    (cell,) = (c for c in notebook.cells if c.source == f"study.figures.{chart}()")
    kept = cell.outputs[0].data["application/vnd.plotly.v1+json"]["layout"]
    with contextlib.closing(made.study(tmp_path, tables=False)) as record:
        drawn = getattr(Figures(charts.of_study(record)), chart)().to_plotly_json()["layout"]
    assert kept.keys() == drawn.keys()
    for key in kept.keys() - {"title", "xaxis", "yaxis"}:
        assert kept[key] == drawn[key], key


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_an_error(path, tmp_path):
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    execute = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(execute)
    kept = nbformat.read(path, as_version=4)
    again = execute.executed(path, tmp_path)
    kinds = [[out.output_type for out in outputs(notebook)] for notebook in (kept, again)]
    assert kinds[0] == kinds[1]
