"""Trials that are mirrored in MLflow, and what MLflow has of them."""

import functools
import json

from raylt import recipe as recipes
from raylt.study.search.searcher import TruthfulSearcher
from raylt.study.tracking.tracker import Tracker
from tests.study.fake import metrics


class Runs:
    """All runs of the store, by name without what the baseline's says beside its number."""

    def __init__(self, client):
        experiments = [e for e in client.search_experiments() if e.name != "Default"]
        self.experiment = experiments[0] if experiments else None
        runs = client.search_runs([self.experiment.experiment_id]) if self.experiment else []
        self.all = {run.info.run_name.removesuffix(" (baseline)"): run for run in runs}
        assert len(self.all) == len(runs), "a run stands twice"
        self._client = client

    def __getitem__(self, name):
        return self.all[name]

    def history(self, name, key):
        points = self._client.get_metric_history(self[name].info.run_id, key)
        return [(point.step, point.value) for point in points]

    def artifacts(self, name):
        return [computed.path for computed in self._client.list_artifacts(self[name].info.run_id)]


def play(made, tracker, epochs, *, start=1, finish=True):
    """One trial of the study from the searcher's view, with the fake's metrics."""
    search = TruthfulSearcher(made, [tracker], lambda trial_id: "died")
    config = search.suggest("t")
    search.started("t")
    recipe = recipes.parse(json.loads(config["recipe"]))
    for epoch in range(start, epochs + 1):
        search.on_trial_result("t", metrics(recipe, epoch))
    if finish:
        search.on_trial_complete("t", metrics(recipe, epochs))
    else:
        search.interrupt()
    return config["number"]


def opened(made, connect, uri="sqlite:///x", optional=False):
    tracker = Tracker(
        functools.partial(connect, made),
        record=made,
        uri=uri,
        resume_command=f"raylt resume {made.name}",
        optional=optional,
    )
    tracker.start()
    return tracker
