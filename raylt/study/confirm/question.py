"""Questions that are answered by training over fresh seeds: what all of them do alike.

A question says which runs it still needs, which of them are to be scored on the test images, and
what the answer is. It reads all of that from the record, so it goes on after any kill, and two
questions share the runs that both need.
"""

from __future__ import annotations

import contextlib
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from raylt import escape, uris
from raylt.schema import EnvironmentError
from raylt.settings import Settings
from raylt.space.plan import LEVEL
from raylt.study.confirm import runs, scoring
from raylt.study.confirm.race import Race
from raylt.study.confirm.runs import SeedRuns, Setting
from raylt.study.cost import budget
from raylt.study.record import bucket, lock, provenance, studies
from raylt.study.record.outcome import Outcome
from raylt.study.record.postgres import Hold
from raylt.study.record.record import Record
from raylt.study.record.text import duration
from raylt.study.resources import allocation
from raylt.study.run import same_data, session
from raylt.study.run.session import Session
from raylt.study.run.waiting import waiting
from raylt.study.tracking import tracker
from raylt.study.tracking.tracker import Tracker
from raylt.study.verdict import answer as answers
from raylt.study.verdict import test_openings
from raylt.study.verdict.answer import ASKED, LEFT, NAMES, Answer

if TYPE_CHECKING:
    from raylt.study.tracking.mirror import MlflowMirror

A = TypeVar("A", bound=Answer)


class Question(ABC, Generic[A]):
    """What is asked about a study.

    Args:
        words: The verb that asks it, and the words that a command to go on needs.
    """

    def __init__(self, race: Race, words: Sequence[str]) -> None:
        self.race = race
        self.words = words

    @abstractmethod
    def next_runs(self) -> list[tuple[Setting, int]]:
        """Settings and seeds that are to be trained next; empty once there is nothing left."""

    @abstractmethod
    def to_test(self) -> list[Outcome]:
        """The finished runs that the test set is opened for; none where it stays shut."""

    @abstractmethod
    def judge(self, unscored: Mapping[int, str], *, uri: str) -> A:
        """The answer by what is known; `unscored` says why a run, by number, was not tested."""

    @property
    def settings(self) -> Sequence[Setting]:
        """All settings that it trains."""
        return self.race.settings

    def own(self) -> set[str]:
        """The digests of the runs that it asks for."""
        runs = self.race.runs_of(self.settings, self.race.seeds)
        return {setting.digest(seed) for setting, seed in runs}

    def facts(self, metric: str, uri: str) -> dict[str, Any]:
        """What every answer says of its study."""
        study = self.race.study
        return {
            "study": study.name,
            "metric": metric,
            "level": LEVEL,
            "seeds": self.race.seeds,
            "openings": len(test_openings.openings(study)),
            "test_openings": test_openings.sentence(study),
            "tracking_uri": uri,
            "interrupted": False,
        }

    def untested(self) -> list[Outcome]:
        """The runs that are to be scored on the test images and are not yet."""
        return [outcome for outcome in self.to_test() if self.race.tested(outcome) is None]

    def again(self, *words: str) -> str:
        """The command that asks it once more."""
        verb, *rest = self._words()
        return provenance.command(self.race.study, verb, self.race.study.name, *rest, *words)

    def note(self) -> int:
        """Write down that it is asked, until it is answered; returns how many runs it wants."""
        race, total = self.race, self.race.total()
        verb, *words = self._words()
        settings = [setting.digest(0) for setting in race.settings]
        asked = {"words": words, "wanted": total, "seeds": race.seeds, "settings": settings}
        self._keep({verb: {**asked, "test": self.race.on_test}})
        return total

    def answer(self, answer: Answer) -> None:
        """Keep the answer."""
        answers.store(self.race.study, answer)
        self._keep({})

    def _words(self) -> list[str]:
        """Its words and its budget, a larger one where that is spent."""
        accounts = budget.accounts(self.race.runs.record)
        limits = [word for account in accounts for word in ("--budget", account.larger)]
        return [*self.words, *limits]

    def _keep(self, asked: Mapping[str, Any]) -> None:
        record = self.race.runs.record
        others = {**record.facts.get(ASKED, {})}
        others.pop(self.words[0], None)
        record.note(ASKED, {**others, **asked})
        left = {setting.digest(0): seeds for setting, seeds in self.race.left_after}
        record.note(LEFT, {**record.facts.get(LEFT, {}), **left})
        names: dict[str, dict[str, str]] = {**record.facts.get(NAMES, {})}
        for setting in self.settings:
            known = names.get(setting.digest(0), {})
            names[setting.digest(0)] = {**known, setting.name: setting.role}
        record.note(NAMES, names)


@contextlib.contextmanager
def locked(
    name: str,
    settings: Settings,
    opened: Callable[[str, Path, str | None], Record],
    *,
    verb: str,
) -> Generator[tuple[Record, Settings, Hold]]:
    """A study that nobody else drives, with the settings that its checkpoints ask for.

    Args:
        opened: Opens it, given its name, the folder of all studies, and its server.

    Raises:
        InputError: there is no such study.
        EnvironmentError: another process drives it.
    """
    with contextlib.closing(studies.open_study(name, settings.runs, settings.storage)) as reader:
        url = reader.url
        checkpoints = bucket.chosen(reader, settings.checkpoints)
        settings = provenance.with_data(reader, settings)
        settings = settings.model_copy(update={"checkpoints": checkpoints})
    with (
        lock.locked(settings.runs / name, url, question=verb) as hold,
        contextlib.closing(opened(name, settings.runs, url)) as study,
    ):
        yield study, settings, hold


@contextlib.contextmanager
def seed_runs(study: Record, *, validated: bool) -> Generator[SeedRuns]:
    """The runs of a study over fresh seeds, for the time of a `with`."""
    opened = runs.open_runs(study, validated=validated)
    with contextlib.closing(opened.record):
        yield opened


def announce(race: Race, settings: Settings, *more: str) -> None:
    """Say how many runs a question asks for, and how long they take by those that are there, or
    by the trials of the search.

    Args:
        more: What else is to be known of that time.
    """
    compared, seeds = race.settings, race.seeds
    total = len(compared) * len(seeds)
    left = sum(race.runs.is_open(*run) for run in race.runs_of(compared, seeds))
    runs = f"{len(compared)} settings with {len(seeds)} seeds are {total} runs"
    if left < total:
        runs += f", of which {total - left} are there"
    if left and (known := _seconds(race.runs.record) or _seconds(race.study)):
        which = "they" if left == total else "the others"
        # The first trials of a process waited for torch.
        time = duration(left * statistics.median(known))
        runs = ", ".join([f"{runs}; {which} take about {time} one after another", *more])
    console = escape.console(stderr=True, quiet=settings.quiet)
    console.print(runs, soft_wrap=True, highlight=False, markup=False)


def _seconds(record: Record) -> list[float]:
    """How long each trial took that was trained to its end."""
    return [o.seconds for o in record.outcomes() if o.state == "complete" and o.seconds]


def answered(question: Question[A], settings: Settings, hold: Hold, *, opener: str) -> A:
    """Train and test what a question still needs, and answer it.

    Args:
        opener: The function that scores a finished run on the test images.

    Raises:
        InputError: the images are not those of the search.
        EnvironmentError: the machine or the tracker is not as it must be, or the runs stopped.
    """
    uri, record = uris.public(session.tracking_uri(settings)), question.race.runs.record
    if question.next_runs() and budget.spent(record):
        return _stopped(question, uri)
    if question.next_runs() or question.untested():
        allocation.require_fit(settings)
        same_data.require_here(question.race.study, settings.data)
        session.prepare(settings)
        with (
            session.ray_session(settings) as nodes,
            session.tracked(
                settings, _tracker(question, settings), question.race.study, nodes, hold
            ) as running,
        ):
            answer = _run(question, running, opener)
        useless = budget.useless(record.space.study.budget, running.allocation.shape.gpus)
        return replace(answer, notices=(*answer.notices, *useless, *running.notices))
    # Nothing is left to run: what is known is shown, and Ray is not needed for it.
    answer = question.judge({}, uri=uri)
    question.answer(answer)
    return answer


def _stopped(question: Question[A], uri: str) -> A:
    """What is known once the budget is spent, and how to go on."""
    question.note()
    why = f"{budget.sentence(question.race.runs.record)}; go on with `{question.again()}`"
    return replace(question.judge({}, uri=uri), stopped=why)


def _tracker(question: Question[A], settings: Settings) -> Tracker:
    race, uri = question.race, session.tracking_uri(settings)

    def connect() -> MlflowMirror:
        searched = tracker.open_mirror(
            race.study,
            uri=uri,
            artifacts=settings.runs / "artifacts",
            command=settings.command,
        )
        # MLflow takes seconds to import; that is for the tracker's thread.
        from raylt.study.confirm.mirror import SeedMirror

        return SeedMirror(searched, race.study, race.runs)

    return Tracker(
        connect,
        record=race.runs.record,
        uri=uri,
        resume_command=question.again(),
        optional=settings.tracking_optional,
    )


def _run(question: Question[A], running: Session, opener: str) -> A:
    """Train and test what is left, and judge; an answer that is not finished is not stored."""
    uri, record = running.tracker.uri, question.race.runs.record
    while left := question.next_runs():
        question.race.runs.queue(left)
        own = question.own()
        others = sum(run.digest not in own for run in record.outcomes())
        stopped = running.trials(
            record, shown=question.note() - others, name=question.race.runs.brief, only=own
        )
        if running.interrupted:
            return replace(question.judge({}, uri=uri), interrupted=True)
        if budget.spent(record):
            return _stopped(question, uri)
        if stopped:
            raise EnvironmentError(
                f"{question.race.study.name}: the runs stopped: {stopped}; fix the cause, then "
                f"run `{question.again('--retry-failed')}`",
                names_command=True,
            )
    unscored: dict[int, str] = {}
    if untested := question.untested():
        question.note()
        digests = [outcome.digest for outcome in question.to_test()]
        test_openings.open_test(question.race.study, digests)
        words = f"testing {len(untested)} models on the test images"
        with waiting(words, quiet=running.settings.quiet):
            unscored = scoring.score(running, record, untested, opener=opener)
    answer = replace(question.judge(unscored, uri=uri), interrupted=running.interrupted)
    if not answer.interrupted:
        question.answer(answer)
    return answer
