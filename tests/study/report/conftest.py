from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.study.report.made import ended


@pytest.fixture
def finished(study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study of two trials, the second of which beats the baseline."""
    made = study("study.trials=2")
    ended(made, 0, 0.5)
    ended(made, 1, 0.75)
    monkeypatch.chdir(tmp_path)
