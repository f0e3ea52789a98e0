"""The pages of MLflow that a study brings along: its trials, best first, and the best compared.

MLflow keeps the state of a page (filter, order, columns, charts) in a tag of the experiment, and
a link names the tag. Read in MLflow 3.17, whose menu "Views" lists them by name; an older or newer
one that does not know the tag shows its own table of runs under the same link.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlencode

from raylt.space import metrics_check
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN

Kind = Literal["trials", "compare"]
LABELS: Mapping[Kind, str] = {
    "trials": "trials, best first",
    "compare": "best trials beside the baseline",
}
"""What each page shows, in the order in which they are named."""
COMPARED = 10
"""The best trials of the page that compares."""
_TAG = "mlflow.sharedViewState."
_FOLDED = ("val", "train", "best_epoch", "Model metrics", "System metrics")
"""The sections of charts that MLflow makes by itself for every study, from the names of metrics up
to their last slash; they stand folded below those of a study."""


def key(record: Record, kind: Kind) -> str:
    """The name of a study's page: an experiment may hold several studies."""
    return f"{kind}-{record.facts['id'][:8]}"


def link(experiment: str, kind: Kind, view: str | None) -> str:
    """The place of a page on any MLflow server, from `#` on.

    Args:
        view: Its key; None where the server has not taken it.
    """
    query = {"workflowType": "machine_learning"}
    if view is not None:
        query["viewStateShareKey"] = view
    if kind == "compare":
        query["compareRunsMode"] = "CHART"
    return f"#/experiments/{experiment}/runs?{urlencode(query)}"


def links(record: Record, fact: Mapping[str, Any]) -> dict[Kind, str]:
    """The places of a study's pages.

    Args:
        fact: What it knows of its run in MLflow; without an experiment there are no pages.
    """
    if "experiment" not in fact:
        return {}
    return {
        kind: link(fact["experiment"], kind, key(record, kind) if fact["views"] else None)
        for kind in LABELS
    }


def tags(record: Record, *, parent: str, compared: Sequence[str]) -> dict[str, str]:
    """The tags of an experiment that hold the pages of a study.

    Args:
        parent: The run of the study, under which the trials' are.
        compared: The runs to compare; all trials where there are none.
    """
    trials = f"tags.mlflow.parentRunId = '{parent}'"
    best = f"attributes.run_id IN ({', '.join(map(repr, compared))})" if compared else trials
    states: Mapping[Kind, Mapping[str, Any]] = {
        "trials": _page(record, trials),
        "compare": {**_page(record, best), **_charts(record)},
    }
    made = int(1000 * record.began)
    return {
        f"{_TAG}{key(record, kind)}": json.dumps(
            {
                "name": f"{record.name}: {kind}",
                "createdAt": made,
                "updatedAt": made,
                "state": _packed(state),
            }
        )
        for kind, state in states.items()
    }


def _packed(state: Mapping[str, Any]) -> str:
    """A state as MLflow packs it, for a tag holds 5000 characters."""
    text = json.dumps(state, separators=(",", ":"))
    return f"deflate;{base64.b64encode(zlib.compress(text.encode(), 9)).decode()}"


def _page(record: Record, search: str) -> dict[str, Any]:
    """The runs that a search finds as a table: the order, the columns and their widths."""
    first = record.objectives[0]
    ids = {
        **{f"metrics.`{name}`": name for name in _metrics(record)},
        **{f"params.`{leaf.path}`": leaf.path for leaf in record.space.leaves},
        "tags.`state`": "state".ljust(9),
    }
    return {
        "searchFilter": search,
        "orderByKey": f"metrics.`{first.metric}`",
        "orderByAsc": first.better == "minimize",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": [*ids, "attributes.`Duration`", "attributes.`Dataset`"],
        "columnOrder": ["attributes.`Run Name`", "runDateAndNestInfo", *ids, "duration"],
        "columnWidths": {
            "attributes.`Run Name`": 150,
            "runDateAndNestInfo": 140,
            **{name: max(80, 26 + 6 * len(head)) for name, head in ids.items()},
            # The arrow of the order stands beside the head.
            f"metrics.`{first.metric}`": 46 + 6 * len(first.metric),
            "duration": 84,
        },
    }


def _charts(record: Record) -> dict[str, Any]:
    """Parallel coordinates of the leaves and the objectives, and the learning curves."""
    # MLflow drops a run that lacks an axis, or has a word on one of numbers: so leaves that only
    # some trials have stand in a chart of these trials.
    conditions = dict.fromkeys(leaf.when.text for leaf in record.space.leaves if leaf.when)
    searches = {"search": "The open hyperparameters and the objective"} | {
        when: f"Only trials where {when}" for when in conditions
    }
    parallels = [
        {
            **_chart(f"parallel {section}", section, "PARALLEL"),
            "selectedParams": [
                leaf.path
                for leaf in record.space.leaves
                if leaf.when is None or leaf.when.text == section
            ],
            "selectedMetrics": [objective.metric for objective in record.objectives],
            "showAllRuns": True,
        }
        for section in searches
    ]
    curves = [
        {
            **_chart(f"curve {name}", "curves", "LINE"),
            "metricKey": name,
            "selectedMetricKeys": [name],
            "scaleType": "linear",
            "xAxisScaleType": "linear",
            "xAxisKey": "step",
            "yAxisKey": "metric",
            "range": {},
            "lineSmoothness": 0,
            "useGlobalXaxisKey": True,
            "useGlobalLineSmoothing": True,
        }
        for name in _metrics(record)[:4]
    ]
    asked = [
        metric.rpartition("/")[0] for _, metric in metrics_check.metrics_of(record.space.study)
    ]
    return {
        "compareRunCharts": [*parallels, *curves],
        "compareRunSections": [
            *(_section(section, words, columns=1) for section, words in searches.items()),
            _section("curves", "Learning curves", columns=2),
            *(
                _section(name, name, columns=3, display=False)
                for name in dict.fromkeys([*_FOLDED, *asked])
            ),
        ],
        "isAccordionReordered": True,
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
    }


def _metrics(record: Record) -> list[str]:
    """The objectives, and the accuracies of the groups that the study has."""
    reported = {name for outcome in record.outcomes() for name in outcome.last}
    groups = [name for name in SHOWN if not reported or name in reported]
    return list(dict.fromkeys([*(o.metric for o in record.objectives), *groups]))


def _chart(name: str, section: str, kind: str) -> dict[str, Any]:
    return {
        "uuid": name,
        "type": kind,
        "metricSectionId": section,
        "runsCountToCompare": 100,
        "deleted": False,
        "isGenerated": False,
    }


def _section(uuid: str, name: str, *, columns: int, display: bool = True) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "name": name,
        "display": display,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
        "columns": columns,
        "cardHeight": 300,
    }
