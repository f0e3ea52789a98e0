"""The runs of a confirmation in MLflow: one for each seed, under the run of its trial."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Metric, RunTag

from raylt.study.confirm import scoring
from raylt.study.confirm.runs import Seeds
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.tracking.mirror import Mirror, Run
from raylt.study.verdict import confirmation, test_openings


class SeedMirror(Mirror):
    """Makes MLflow agree with the confirmations of a study.

    Args:
        above: The mirror of the study.
        study: The study.
        seeds: Its confirmations.
    """

    def __init__(self, above: Mirror, study: Record, seeds: Seeds) -> None:
        self._above = above
        self._study = study
        self._seeds = seeds
        for number in above.missing():
            above.trial(number, interrupted=False)
        super().__init__(
            seeds.record,
            above._client,
            uri=above._uri,
            artifacts=None,
            tags=above._tags,
            command="",
        )

    def finish(self, *, interrupted: bool) -> None:
        """Send what the runs did on the test images, the verdicts, and the study's summary."""
        for one in self._record.outcomes():
            found = scoring.read(self._record.trial_folder(one.number), digest=one.digest)
            run = self._run(f"trial/{one.number}")
            if found is not None and run is not None:
                self._measure(run.id, found["metrics"], step=one.epoch)
        found = None if interrupted else confirmation.stored(self._study)
        if found is not None:
            self._send_verdicts(found)
        unfinished = any(one.state in ("running", "waiting") for one in self._study.outcomes())
        self._above.finish(interrupted=unfinished)

    def _open_study(self) -> Run:
        return self._above._parent

    def _place(self, outcome: Outcome) -> tuple[str, str]:
        above = self._above._run(f"trial/{self._seeds.setting_of(outcome.number)}")
        parent = above or self._parent
        return f"seed {outcome.recipe['seed']}", parent.id

    def _improve(self) -> None:
        """Nothing: the best of several seeds means nothing."""

    def _send_verdicts(self, found: Mapping[str, Any]) -> None:
        words: list[str] = []
        for each in found["candidates"]:
            number, verdict = each["runs"]["trial"], each["verdict"]
            words.append(f"trial {number} {verdict['word']}")
            run = self._above._run(f"trial/{number}")
            if run is None:
                continue
            values = {
                f"confirm/{name}": verdict[name]
                for name in ("mean", "low", "high", "p_holm")
                if verdict[name] is not None
            }
            self._measure(run.id, values, step=0)
            self._client.set_tag(run.id, "verdict", verdict["word"])
        opened = str(len(test_openings.openings(self._study)))
        tags = {"verdict": ", ".join(words), "test_openings": opened}
        self._client.log_batch(
            self._parent.id, tags=[RunTag(key, value) for key, value in tags.items()]
        )
        self._client.log_text(self._parent.id, json.dumps(found, indent=2), "verdict.json")

    def _measure(self, run: str, values: Mapping[str, float], *, step: int) -> None:
        at = int(1000 * time.time())
        self._client.log_batch(
            run, metrics=[Metric(key, value, at, step) for key, value in values.items()]
        )
