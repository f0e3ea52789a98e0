"""What population based training asks of a space."""

from __future__ import annotations

from raylt import recipe
from raylt.changes import changeable
from raylt.space import recipe_section
from raylt.space.file.document import Document, Keys
from raylt.space.points import Space


def demand(found: Document, space: Space) -> None:
    """Refuse a space whose trials cannot go on from one another.

    Raises:
        InputError: a leaf may not change in mid-run, or the generations do not fit the run.
    """
    study, known = space.study, space.known
    if study.sampler.name != "random":
        raise found.error(
            ("study", "sampler", "name"),
            f"must be random with the scheduler pbt, since what a trial reaches belongs to a "
            f"schedule of values and not to the point that a model would learn from, but got "
            f"{study.sampler.name}; write `sampler: {{name: random}}`",
        )
    if space.fixed.get("changes"):
        raise recipe_section.error(
            found,
            ("recipe", "changes"),
            "must be left out with the scheduler pbt, which makes changes itself; remove it",
        )
    may = tuple(changeable(recipe.model_of(space.fixed)))
    for each in space.leaves:
        keys: Keys = ("recipe", *each.path.split("."))
        if each.path not in may or each.choices is not None:
            raise recipe_section.error(
                found,
                keys,
                "must be fixed with the scheduler pbt, or be a range of a real number of the "
                "method, the optimizer, the schedule or the augmentation: only those may change "
                "in mid-run; fix it, or take another study.scheduler.name",
            )
        if each.when is not None:
            raise recipe_section.error(
                found,
                (*keys, "when"),
                "must be left out with the scheduler pbt, whose trials take over each other's "
                "values; remove it",
            )
    every, scored, epochs = study.scheduler.every, known["evaluation.every"], known["epochs"]
    assert isinstance(scored, int)
    assert isinstance(epochs, int)
    if every % scored or every >= epochs:
        raise found.error(
            ("study", "scheduler", "every"),
            f"must be a multiple of evaluation.every, which is {scored}, and less than epochs, "
            f"{epochs}, but got {every}; try {max(scored, epochs // 5 // scored * scored)}",
        )
