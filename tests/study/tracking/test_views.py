"""The pages that a study brings along to MLflow."""

import base64
import json
import zlib

import pytest

from raylt.space.plan import Objective
from raylt.study.tracking import views
from tests.study import made


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    with_conditions = made.study(tmp_path_factory.mktemp("views"), trials=6, tables=False)
    yield with_conditions
    with_conditions.close()


def states(record, **options):
    """The states of a study's pages by the page."""
    unpacked = {}
    for name, value in views.tags(record, parent="p" * 32, **options).items():
        envelope = json.loads(value)
        packed = envelope["state"].removeprefix("deflate;")
        kind = name.removeprefix("mlflow.sharedViewState.").partition("-")[0]
        assert envelope["name"] == f"made: {kind}"
        unpacked[kind] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return unpacked


def test_the_table_is_of_this_study_alone_and_best_first(record):
    page = states(record, compared=())["trials"]
    assert page["searchFilter"] == f"tags.mlflow.parentRunId = '{'p' * 32}'"
    assert (page["orderByKey"], page["orderByAsc"]) == ("metrics.`val/accuracy`", False)
    wanted = [f"metrics.`val/{name}`" for name in ("accuracy", "many", "medium", "few")]
    wanted += [f"params.`{leaf.path}`" for leaf in record.space.leaves]
    assert page["selectedColumns"][: len(wanted)] == wanted
    assert "tags.`state`" in page["selectedColumns"]
    ordered = [name for name in page["columnOrder"] if name in wanted]
    assert ordered == wanted
    assert page["columnWidths"].keys() >= set(wanted)


def test_an_objective_that_is_to_be_small_turns_the_order_and_has_a_column(tmp_path):
    small = made.study(tmp_path, trials=1, failed=(0,), tables=False)
    small.objectives = (Objective(metric="val/std"),)
    page = states(small, compared=())["trials"]
    assert (page["orderByKey"], page["orderByAsc"]) == ("metrics.`val/std`", True)
    assert page["selectedColumns"][0] == "metrics.`val/std`"
    small.close()


def test_the_comparison_is_of_the_named_runs_and_a_conditional_leaf_has_a_chart_of_its_trials(
    record,
):
    page = states(record, compared=("a", "b"))["compare"]
    assert page["searchFilter"] == "attributes.run_id IN ('a', 'b')"
    all_runs, some_runs, *curves = page["compareRunCharts"]
    leaves = ["method.temperature", "method.prune", "method.head_depth"]
    assert all_runs["selectedParams"] == leaves
    assert set(some_runs["selectedParams"]) == {*leaves, "method.random_share"}
    for parallel in (all_runs, some_runs):
        assert parallel["type"] == "PARALLEL"
        assert parallel["selectedMetrics"] == ["val/accuracy"]
    names = {section["uuid"]: section["name"] for section in page["compareRunSections"]}
    assert names[some_runs["metricSectionId"]] == "Only trials where method.prune > 0.5"
    assert curves[0]["selectedMetricKeys"] == ["val/accuracy"]
    sections = {section["uuid"] for section in page["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in page["compareRunCharts"]} <= sections


def test_a_page_fits_into_a_tag(record):
    for value in views.tags(record, parent="p" * 32, compared=["r" * 32] * 11).values():
        assert len(value) < 5000


def test_two_studies_in_one_experiment_have_pages_of_their_own(record, tmp_path):
    other = made.study(tmp_path, trials=1, failed=(), tables=False)
    assert not set(views.tags(record, parent="p", compared=())) & set(
        views.tags(other, parent="q", compared=())
    )
    other.close()


def test_links_name_the_pages_or_the_plain_table_where_the_server_took_none(record):
    key = record.facts["id"][:8]
    start = "#/experiments/7/runs?workflowType=machine_learning"
    fact = {"experiment": "7", "views": True}
    assert views.links(record, fact) == {
        "trials": f"{start}&viewStateShareKey=trials-{key}",
        "compare": f"{start}&viewStateShareKey=compare-{key}&compareRunsMode=CHART",
    }
    assert views.links(record, {**fact, "views": False}) == {
        "trials": start,
        "compare": f"{start}&compareRunsMode=CHART",
    }
    # A study of 0.1.0 does not know its experiment.
    assert views.links(record, {"run": "x"}) == {}
