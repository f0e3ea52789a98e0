"""What a space file of version 0.1.0 may hold and no later version can run."""

from __future__ import annotations

from raylt.recipe import CHANGES_REMOVED
from raylt.space.file.document import Document


def refuse(document: Document) -> None:
    """Refuse a space of population based training.

    Raises:
        InputError: its scheduler is pbt, or its recipe changes while it runs.
    """
    study, recipe = document.values["study"], document.values["recipe"]
    scheduler = study.get("scheduler")
    if isinstance(scheduler, dict) and scheduler.get("name") == "pbt":
        raise document.error(
            ("study", "scheduler", "name"),
            "must not be pbt, since population based training was removed after version 0.1.0; "
            "write `scheduler: {name: asha}`, or read this study with version 0.1.0",
        )
    if recipe.get("changes"):
        raise document.error(("recipe", "changes"), CHANGES_REMOVED)
