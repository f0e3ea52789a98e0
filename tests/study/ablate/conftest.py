import contextlib
import shutil
from pathlib import Path

import pytest

from raylt.study.ablate import ablate
from raylt.study.confirm import candidates, confirm, scoring
from raylt.study.record import studies
from raylt.study.run import session
from raylt.study.search import sampler
from tests.study import drive
from tests.study.confirm.made import Now, score, settings, starts

OPENER = "tests.study.fake_parts:open_test"
WORK = "tests.study.fake_parts:work"
BASELINE = "values: {method.prune: 0.9, method.temperature: 0.2, optimizer.lr: 0.1}"


class Toy:
    """A finished toy study in a folder, which is confirmed and ablated without Ray."""

    def __init__(self, root: Path):
        self.root = root
        self.folder = root / "runs" / "toy"
        self.stop_after = None
        self.calls = []

    def search(self, *points):
        """The baseline, and a trial for each point."""
        drive.behave(self.root)
        space = drive.toy(
            self.root,
            f"study.points=[{', '.join(points)}]",
            "optimizer.lr={low: 0.05, high: 1.0}",
            f"study.baseline={{source: a paper, {BASELINE}}}",
            f"study.trials={1 + len(points)}",
            "study.scheduler.name=none",
        )
        facts = {"floor": {"floor/logistic/accuracy": 0.83}, "fingerprint": drive.FINGERPRINT}
        draws = sampler.sampler(space, begun=0)
        made = studies.create(self.folder, space, sampler=draws, queue=(), facts=facts)
        with contextlib.closing(made):
            Now(settings(self.root), work=WORK).trials(made)
        return self

    def open(self):
        return studies.open_study("toy", self.folder.parent)

    def ablate(self, **changes):
        with self._in_this_process():
            options = ablate.Options(opener=OPENER, **changes)
            return ablate.ablate("toy", settings(self.root), options)

    def confirm(self, seeds):
        options = candidates.Options(
            top=1, seeds=seeds, race=True, retry_failed=False, opener=OPENER
        )
        with self._in_this_process():
            return confirm.confirm("toy", settings(self.root), options)

    @contextlib.contextmanager
    def _in_this_process(self):
        @contextlib.contextmanager
        def tracked(chosen, tracker, study, nodes, hold):
            now = Now(chosen, tracker=tracker, stop_after=self.stop_after, work=WORK)
            self.calls.append(now)
            yield now

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session, "ray_session", lambda chosen: contextlib.nullcontext([]))
            patch.setattr(session, "tracked", tracked)
            patch.setattr(scoring, "score", score)
            yield


@pytest.fixture
def toy(tmp_path):
    """A winner that differs from the baseline in the pruning alone, which is worth 0.3."""
    return Toy(tmp_path).search("{method.prune: 0.5, method.temperature: 0.2, optimizer.lr: 0.1}")


@pytest.fixture(scope="session")
def confirmed_and_ablated(tmp_path_factory):
    """A winner that differs in three leaves: the pruning is worth 0.3, the temperature nothing,
    and the learning rate 0.1 beside the pruning. The ablation, and the runs that were there
    before and after it."""
    toy = Toy(tmp_path_factory.mktemp("ablated"))
    toy.search("{method.prune: 0.5, method.temperature: 0.3, optimizer.lr: 0.5}")
    toy.confirm(seeds=8)
    before = starts(toy.folder)
    result = toy.ablate(seeds=8, race=False)
    return toy, result, before


@pytest.fixture
def ablated(confirmed_and_ablated, tmp_path):
    """A copy of that study, all of whose runs are there."""
    shutil.copytree(confirmed_and_ablated[0].root, tmp_path, dirs_exist_ok=True)
    return Toy(tmp_path)
