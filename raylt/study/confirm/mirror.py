"""The runs over fresh seeds in MLflow: one for each seed, under the run of its trial."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from raylt.study.confirm import scoring
from raylt.study.confirm.runs import SeedRuns
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.tracking.mirror import MlflowMirror
from raylt.study.tracking.mlflow_runs import MlflowRuns, Run, key_of
from raylt.study.verdict import ablation, confirmation, test_openings


class SeedMirror(MlflowMirror):
    """What MLflow shows of the runs of a study over fresh seeds."""

    def __init__(self, searched: MlflowMirror, study: Record, seeds: SeedRuns) -> None:
        self._searched = searched
        self._study = study
        self._seeds = seeds
        for number in searched.missing():
            searched.trial(number, interrupted=False)
        above = searched.runs
        runs = MlflowRuns(
            seeds.record, above.client, uri=above.uri, artifacts=None, tags=above.tags
        )
        super().__init__(seeds.record, runs, command="")

    def finish(self, *, interrupted: bool) -> None:
        """Send what the runs did on the test images, the verdicts, and the study's summary."""
        for outcome in self._record.outcomes():
            folder = self._record.trial_folder(outcome.number)
            tested = scoring.read(folder, digest=outcome.digest)
            run = self.runs.find(key_of(outcome.number))
            if tested is not None and run is not None:
                self.runs.log(run, tested["metrics"], at=time.time(), step=outcome.epoch)
        result = None if interrupted else confirmation.stored(self._study)
        if result is not None:
            self._send_verdicts(result)
        if not interrupted and (ablated := ablation.stored(self._study)):
            sentences = [f"{name}: {known['sentence']}" for name, known in ablated.items()]
            self.runs.log(self.study_run, tags={"ablation": "\n".join(sentences)})
            text = json.dumps(ablated, indent=2)
            self.runs.client.log_text(self.study_run.id, text, "ablation.json")
        unfinished = any(o.state in ("running", "waiting") for o in self._study.outcomes())
        self._searched.finish(interrupted=unfinished)

    def _open_study(self) -> Run:
        return self._searched.study_run

    def _place(self, outcome: Outcome) -> tuple[str, str, dict[str, str]]:
        number = self._seeds.setting_of(outcome.number)
        above = self._searched.runs.find(key_of(number)) or self.study_run
        # What an ablation trains beside the trials is none of them.
        trial = {} if outcome.role == "ablation" else {"trial": str(number)}
        tags = {"setting": self._seeds.name_of(outcome), **trial}
        return self._seeds.label(outcome), above.id, tags

    def _send_best_so_far(self) -> None:
        """Nothing: the best of several seeds means nothing."""

    def _send_verdicts(self, result: Mapping[str, Any]) -> None:
        words: list[str] = []
        for candidate in result["candidates"]:
            number, verdict = candidate["runs"]["trial"], candidate["verdict"]
            words.append(f"trial {number} {verdict['word']}")
            run = self._searched.runs.find(key_of(number))
            if run is None:
                continue
            metrics = {
                f"confirm/{name}": verdict[name]
                for name in ("mean", "low", "high", "p_holm", "p_worse_holm")
                if verdict[name] is not None
            }
            self.runs.log(run, metrics, at=time.time(), tags={"verdict": verdict["word"]})
        opened = str(len(test_openings.openings(self._study)))
        tags = {"verdict": ", ".join(words), "test_openings": opened}
        self.runs.log(self.study_run, tags=tags)
        text = json.dumps(result, indent=2)
        self.runs.client.log_text(self.study_run.id, text, "verdict.json")
