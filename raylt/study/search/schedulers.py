"""The scheduler of a study, which knows the trials that the study has already."""

from __future__ import annotations

from operator import itemgetter

from ray.tune.schedulers import TrialScheduler

from raylt import plugins
from raylt.schedulers._base import Contender, Fair
from raylt.space import strategy
from raylt.space.metric_names import METRICS
from raylt.study.record.record import Record


def scheduler(record: Record) -> TrialScheduler:
    """The scheduler that a study names; none for a study of a single recipe."""
    space = record.space
    chosen = space.study.scheduler if space.leaves else strategy.Scheduler(name="none")
    module = plugins.module("schedulers", chosen.name)
    metric = space.study.watched
    built = module.build(
        strategy.config_of(chosen, module.Config),
        metric=metric,
        mode={"maximize": "max", "minimize": "min"}[METRICS[metric]],
        epochs=space.longest,
    )
    if isinstance(built, Fair):
        _remember(built, record)
    return built


def _remember(scheduler: Fair, record: Record) -> None:
    """Show a scheduler what trials have reported, in that order, so that a resumed search goes on
    as sharply as if it had never ended."""
    past = {
        Contender(outcome.number, outcome.role): outcome.state
        for outcome in record.outcomes()
        if outcome.state in ("complete", "stopped", "running")
    }
    reports = [
        (entry["time"], contender, entry)
        for contender in past
        for entry in record.epochs(contender.number)
    ]
    for _, contender, entry in sorted(reports, key=itemgetter(0)):
        scheduler.add(contender)
        scheduler.judge(contender, entry)
    last = {contender: entry for _, contender, entry in reports}
    for contender, entry in last.items():
        if past[contender] != "running":
            scheduler.end(contender, entry)
