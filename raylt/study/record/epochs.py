"""Where the metrics of scored epochs are kept: a file for each trial, or a table of the server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter
from sqlalchemy import Engine, text

from raylt.schema import EnvironmentError
from raylt.study.record.text import KEPT

Entry = Mapping[str, float]
"""The metrics of one scored epoch, `epoch` among them, and the `time` of the report."""
_ENTRY = TypeAdapter(dict[str, int | float], config=ConfigDict(strict=True))


class InFiles:
    """`epochs.jsonl` in the folder of each trial.

    Args:
        folder: The folder of a trial by its number.
    """

    def __init__(self, folder: Callable[[int], Path]) -> None:
        self._folder = folder

    def read(self, number: int) -> dict[int, Entry]:
        """Every entry of a trial by its epoch; of two for one epoch the first counts.

        Raises:
            EnvironmentError: the file holds what raylt has not written.
        """
        path = self._file(number)
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        entries: dict[int, Entry] = {}
        for at, line in enumerate(lines, 1):
            # A killed driver may leave half a line behind, and a power cut zeros; the epoch is
            # then reported again.
            if line.strip(b"\0 ") and not (line.startswith(b"{") and not line.endswith(b"}")):
                entry = _entry(line, f"{path}:{at}")
                entries.setdefault(int(entry["epoch"]), entry)
        return entries

    def append(self, number: int, entry: Entry) -> None:
        """Keep one more entry of a trial.

        Raises:
            EnvironmentError: the disk does not take it.
        """
        try:
            with self._file(number).open("a", encoding="utf-8") as file:
                # The newline comes first, so that half a line of a killed driver damages no other.
                file.write("\n" + json.dumps(entry))
        except OSError as error:
            raise EnvironmentError(
                f"{self._file(number)} must be writable, but is not: {error.strerror}; {KEPT}; "
                f"mend that"
            ) from error

    def _file(self, number: int) -> Path:
        return self._folder(number) / "epochs.jsonl"


def _entry(line: bytes, where: str) -> Entry:
    """The entry of a whole line.

    Raises:
        EnvironmentError: it is none.
    """
    try:
        entry = _ENTRY.validate_json(line)
        if float(entry["epoch"]).is_integer():
            return entry
    except (ValueError, KeyError, OverflowError):
        pass
    raise EnvironmentError(
        f"{where}: must be the scores of an epoch as JSON, but is {line[:60]!r}; restore the file "
        f"from a copy, or remove the line"
    )


class InTable:
    """Rows of a table beside Optuna's own."""

    def __init__(self, engine: Engine, study_id: int) -> None:
        self._engine = engine
        self._study = study_id

    def read(self, number: int) -> dict[int, Entry]:
        """Every entry of a trial by its epoch."""
        query = "SELECT epoch, entry FROM raylt_epochs WHERE study_id = :study AND trial = :trial"
        with self._engine.connect() as database:
            rows = database.execute(text(query), {"study": self._study, "trial": number})
            return {epoch: json.loads(entry) for epoch, entry in rows}

    def append(self, number: int, entry: Entry) -> None:
        """Keep one more entry of a trial; one that is there for the epoch stays."""
        query = (
            "INSERT INTO raylt_epochs VALUES (:study, :trial, :epoch, :entry) "
            "ON CONFLICT DO NOTHING"
        )
        row = {
            "study": self._study,
            "trial": number,
            "epoch": int(entry["epoch"]),
            "entry": json.dumps(entry),
        }
        with self._engine.begin() as database:
            database.execute(text(query), row)


Epochs = InFiles | InTable
"""The scored epochs of the trials of a study."""
