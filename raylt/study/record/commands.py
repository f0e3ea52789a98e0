"""Commands about a study, with the settings that it was searched with."""

from __future__ import annotations

from raylt import printed
from raylt.settings import Settings
from raylt.study.record.record import Record

FACT = "settings"
"""The fact that holds them."""


def command(record: Record, verb: str, *words: str) -> str:
    """A command about a study that runs as pasted.

    Args:
        record: The study.
        verb: Such as "resume".
        words: The study's name, if the verb takes it, and other options.
    """
    values = {**record.facts.get(FACT, {}), "runs": record.folder.parent}
    return printed.command(verb, words, Settings.model_validate(values))


def note(record: Record, settings: Settings) -> None:
    """Keep the settings that a study goes on with."""
    record.note(FACT, printed.kept(settings))
