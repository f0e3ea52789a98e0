"""Equal-budget baselines: another method gets the same trials, rungs and budget.

A new method that was searched beats an old one that was not, whatever it is worth. `--versus
simclr` searches both alike: the same file with the other method in it, where the other method
knows the leaf, as a study of its own beside the first.
"""

from __future__ import annotations

from raylt import plugins
from raylt import space as spaces
from raylt.schema import InputError
from raylt.space import Space, baseline
from raylt.space.file import document

_SECTION = "method."
BETWEEN = "-versus-"
"""What stands between the names of a study and of its rival's method."""


def rival(space: Space) -> Space:
    """The space of the method that `study.versus` names.

    Raises:
        InputError: there is no such method, it is the space's own, it leaves nothing open, or the
            space has a rule that makes no sense for it.
    """
    method, own = str(space.study.versus), space.known["method.name"]
    where = f"{space.source}: study.versus"
    if method == own:
        raise InputError(f"{where}: must be another method, but got {method}, the space's own")
    fields = plugins.config("methods", method).model_fields
    values = document.parse(space.text, space.source).values
    study, recipe = values["study"], values["recipe"]
    recipe["method"] = {
        **{key: value for key, value in recipe["method"].items() if key in fields},
        "name": method,
    }
    study.pop("versus")
    # What was learned of one method says nothing of another.
    study.pop("warm_start", None)
    study.pop("warm_points", None)
    study["name"] = name(space.study.name, method)
    # The other method has published values of its own.
    study.pop("baseline", None)
    for point in study.get("points", ()):
        for path in list(point):
            if path.startswith(_SECTION) and path.removeprefix(_SECTION) not in fields:
                del point[path]
    try:
        other = spaces.of(document.parse(document.dump(values), f"{space.source} for {method}"))
    except InputError as error:
        raise InputError(f"{where}: {method} must fit the space, but\n{error}") from None
    if not other.leaves:
        raise InputError(
            f"{where}: must leave something to search, but no open leaf of the space is one of "
            f"{method}'s; open optimizer.lr"
        )
    return other


def openness(space: Space) -> list[str]:
    """What a side of a comparison has open, a line, and a warning where published hyperparameters
    of its method are closed, for then the other side may only have searched more."""
    method = str(space.known["method.name"])
    paths = [leaf.path for leaf in space.leaves]
    lines = [f"{method} has open: {', '.join(paths)}"]
    own = [path for path in baseline.published(method).values if path.startswith(_SECTION)]
    if closed := [path for path in own if path not in paths]:
        lines.append(
            f"warning: of {method}'s own, {', '.join(closed)} "
            f"{'is' if len(closed) == 1 else 'are'} closed; for an even comparison open what is "
            f"to be searched"
        )
    return lines


def openness_of_both(space: Space) -> list[str]:
    """The same of a space and of its rival; nothing without one."""
    if space.study.versus is None:
        return []
    lines = ["", *openness(space), *openness(rival(space))]
    if space.sources:
        lines.append(
            "warning: the other method begins without a warm start; for an even comparison remove "
            "study.warm_start"
        )
    return lines


def name(study: str, method: str) -> str:
    """The name of the rival's study."""
    # That of a plug-in may be `module:Object`, and a study's name is one of a folder.
    return f"{study}{BETWEEN}{method.replace(':', '.')}"
