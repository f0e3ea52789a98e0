"""What a sampler is told of earlier studies before its own first trial.

Of Optuna's samplers CMA-ES alone has a place for it: `source_trials` shape its first distribution
and never become trials of the study. TPE, the Gaussian process, NSGA-II and the others would have
to find earlier trials among those of the study (`Study.add_trial`). There a score on other data,
at another imbalance or size, would count as one on these: TPE splits all values into good and bad
by one threshold, the Gaussian process fits one surface through them, and importances, rankings and
constraints would read them, too. So these begin with the settings alone, which are trained again
here, and learn from what they reach here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from raylt import plugins
from raylt.schema import SamplerConfig
from raylt.space import Leaf, Space
from raylt.study.record.distributions import parameters
from raylt.study.record.record import Record
from raylt.study.warm_start.earlier import Earlier
from raylt.study.warm_start.mapping import mapped
from raylt.study.warm_start.origins import FACT

_LEAST = 10
"""Trials that a prior needs: it is drawn around their best tenth."""


def entries(
    space: Space, known: Iterable[Earlier]
) -> tuple[tuple[Mapping[str, Any], ...], str | None]:
    """The earlier trials for the sampler of a space, and why there are none where it takes some.

    Args:
        space: Of the new study.
        known: Its sources.

    Returns:
        A `point` for each, and its `rank` within its study from 0, the best, to 1: scores on other
        data have other scales, but the best tenth of each is the best tenth.
    """
    config = plugins.config("samplers", space.study.sampler.name)
    assert issubclass(config, SamplerConfig)
    if not config.takes_prior:
        return (), None
    leaves = _modelled(space)
    if any(open_leaf.when is not None for open_leaf in leaves):
        return (), f"{config.model_fields['name'].default} gets no prior, for a leaf has a `when`"
    collected: list[Mapping[str, Any]] = []
    for source in known:
        scored = [t for t in source.trials if t.state in ("complete", "stopped")]
        for place, trial in enumerate(scored):
            point = mapped(space, trial.point)
            if all(open_leaf.admits(point[open_leaf.path]) for open_leaf in leaves):
                collected.append({"point": point, "rank": place / len(scored)})
    if len(collected) < _LEAST:
        return (), (
            f"the sampler gets no prior, for that takes {_LEAST} earlier trials in the ranges of "
            f"this space, and there are {len(collected)}"
        )
    return tuple(collected), None


def of(record: Record, space: Space) -> tuple[FrozenTrial, ...]:
    """The prior of a study that goes on, from its own record."""
    return trials(space, record.facts.get(FACT, {}).get("prior", ()))


def trials(space: Space, entries: Sequence[Mapping[str, Any]]) -> tuple[FrozenTrial, ...]:
    """The trials that the sampler of a space takes as its prior."""
    leaves = {open_leaf.path for open_leaf in _modelled(space)}
    sign = -1 if space.study.objective[0].better == "maximize" else 1
    collected: list[FrozenTrial] = []
    for entry in entries:
        point = {path: value for path, value in entry["point"].items() if path in leaves}
        laws = parameters(space, point)
        collected.append(
            optuna.trial.create_trial(
                params={name: value for name, (_, value) in laws.items()},
                distributions={name: law for name, (law, _) in laws.items()},
                value=sign * entry["rank"],
            )
        )
    return tuple(collected)


def _modelled(space: Space) -> list[Leaf]:
    """The leaves that CMA-ES models: those with a range."""
    return [open_leaf for open_leaf in space.leaves if open_leaf.choices is None]
