"""Begin a study of record, or open one that is there."""

from __future__ import annotations

import contextlib
import datetime
import json
import shlex
import uuid
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna

from raylt import printed
from raylt import space as spaces
from raylt._version import __version__
from raylt.plugins import did_you_mean, outside
from raylt.schema import EnvironmentError, InputError, Value
from raylt.settings import Settings
from raylt.space import Space
from raylt.space.file import document as documents
from raylt.study.record import lock, postgres, sqlite, storage
from raylt.study.record.record import REAL_ENDS, Record

NEXT = "space.next.yaml"
"""The file of a new space until the database has it."""
_TEXT = "space.yaml"
"""The fact that holds the text of a space on a server."""
_MODULES = "modules"
"""The fact that holds the modules that stood beside it."""


def require_new(
    folder: Path, url: str | None, name: str, settings: Settings | None = None
) -> None:
    """Refuse the name of a study that exists in the folder or on the server.

    Args:
        settings: Those of the command, for the one that continues the study.

    Raises:
        InputError: the study exists.
        EnvironmentError: only its trials do.
    """
    if not storage.exists(folder, url, name):
        _require_no_remains(folder, url)
    else:
        resume = printed.command("resume", [name], settings or Settings(runs=folder.parent))
        raise InputError(
            f"study.name: must be new, but {postgres.public(url) if url else folder} holds a "
            f"study already; continue it with `{resume}`, or choose another name, such as "
            f"--study {storage.free_name(name, folder.parent, url)}"
        )


def _require_no_remains(folder: Path, url: str | None) -> None:
    """Refuse a folder with trials whose record is gone: their checkpoints would pass for new."""
    remains = {path.parent for path in folder.glob("trials/*/*")}
    if remains:
        where = f"in {postgres.public(url)}" if url else str(folder / sqlite.FILE)
        raise EnvironmentError(
            f"{folder} holds {len(remains)} trials of a study whose record, {where}, is gone; "
            f"restore it from a copy, or move the folder away and begin anew. What the trials "
            f"reported (epochs.jsonl) and their checkpoints are in {folder / 'trials'}"
        )


def create(
    folder: Path,
    space: Space,
    *,
    sampler: optuna.samplers.BaseSampler,
    queue: Sequence[Mapping[str, Value]],
    facts: Mapping[str, Any],
    warm: Sequence[Mapping[str, Value]] = (),
    url: str | None = None,
    name: str | None = None,
) -> Record:
    """Begin a study in a folder without one; the caller holds its lock.

    Args:
        queue: Points to run first, after the baseline, the space's own points and `warm`.

    Raises:
        InputError: there is a study already.
        EnvironmentError: the folder cannot be written, or the server does not answer.
    """
    name = name or space.study.name
    # Another process may have begun it since it was first looked for; under the lock this is sure.
    require_new(folder, url, name)
    with lock.writing(folder):
        (folder / "trials").mkdir(parents=True, exist_ok=True)
        # A driver may have been killed in the middle of this function.
        for left in folder.glob(f"{sqlite.FILE}*"):
            left.unlink()
        _write_files(folder, space.text, space.modules, url)
    database = storage.opened(folder, url)
    if name in optuna.get_all_study_names(database):
        optuna.delete_study(study_name=name, storage=database)
    optuna.create_study(
        storage=database,
        study_name=name,
        directions=[objective.better for objective in space.study.objective],
    )
    record = _record(folder, space, url=url, database=database, name=name, sampler=sampler)
    own = {
        "id": uuid.uuid4().hex,
        REAL_ENDS: True,
        "trials": space.study.trials,
        "raylt": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    for key, value in {**own, **space_facts(space, url), **facts}.items():
        record.note(key, value)
    _enqueue(record, space, warm, queue)
    record.note(storage.WHOLE, True)
    return record


def _enqueue(
    record: Record,
    space: Space,
    warm: Sequence[Mapping[str, Value]],
    queue: Sequence[Mapping[str, Value]],
) -> None:
    """Each point that runs first, once: the baseline, the space's own points, those of earlier
    studies, then `queue`."""
    baseline = [] if space.baseline_point is None else [space.baseline_point]
    roles = {"baseline": baseline, "point": space.points, "warm": warm, "sampled": queue}
    queued: list[Mapping[str, Value]] = []
    for role, points in roles.items():
        for point in points:
            if point not in queued:
                record.enqueue(point, role=role)
                queued.append(point)


def load(
    folder: Path,
    *,
    sampler: optuna.samplers.BaseSampler | None,
    url: str | None = None,
    name: str | None = None,
) -> Record:
    """Open the study in a folder, to read it, or with a sampler to go on with it.

    Args:
        folder: The study's folder; made where it is missing and the study is on a server.

    Raises:
        InputError: there is no study, or its space file was changed.
        EnvironmentError: the study's database is damaged or gone, or the server does not answer.
    """
    name = name or folder.name
    if not storage.exists(folder, url, name):
        raise _missing(folder, url)
    if url:
        text, modules = (
            json.loads(postgres.fact(url, name, key) or empty)
            for key, empty in ((_TEXT, '""'), (_MODULES, "{}"))
        )
        _write_files(folder, text, modules, url)
    space = spaces.stored(folder / "space.yaml", whole_ends=False)
    database = storage.opened(folder, url)
    record = _record(folder, space, url=url, database=database, name=name, sampler=sampler)
    record.space = _current_space(record)
    return record


def _missing(folder: Path, url: str | None) -> InputError:
    """What to say of a study that is not there."""
    _require_no_remains(folder, url)
    known = storage.studies(folder.parent)
    first = _first_name(folder)
    if url and first not in ("", folder.name):
        return InputError(
            f"{folder} must be called {first}, the name by which {postgres.public(url)} knows its "
            f"study; rename it back"
        )
    if folder.name in known:
        return InputError(
            f"{folder} must hold a whole study, but its driver was ended while it began; "
            f"run its `raylt tune` again"
        )
    where = f"{postgres.public(url)} or {folder.parent}" if url else str(folder.parent)
    return InputError(
        f"{where} must hold the study {folder.name!r}, but it holds "
        f"{', '.join(known) or 'none'}{did_you_mean(folder.name, known)}; begin one with "
        f"`raylt tune --space sdclr`, or name the folder with --runs"
    )


def _first_name(folder: Path) -> str:
    """What the space file of a folder calls the study; "" without one."""
    with contextlib.suppress(InputError):
        return str(documents.read(folder / "space.yaml").values["study"]["name"])
    return ""


def _current_space(record: Record) -> Space:
    """The space of a study, which must be the one that its database knows."""
    file, draft = record.folder / "space.yaml", record.folder / NEXT
    space, digest = record.space, record.facts["space"]
    if record.whole_ends:
        space = spaces.stored(file, whole_ends=True)
    if space.digest != digest and draft.exists():
        # A driver was killed after the database had the new space, but before the file.
        space = spaces.stored(draft, whole_ends=record.whole_ends)
        if space.digest == digest:
            # Whoever only reads may not be allowed to.
            with contextlib.suppress(OSError):
                draft.replace(file)
    if space.digest != digest:
        raise InputError(
            f"{file} must be as it was when the study began, but it was changed; undo the "
            f"change, or begin another study with `raylt tune --space {shlex.quote(str(file))} "
            f"--study NAME`"
        )
    return space


def open_study(name: str, runs: Path, url: str | None = None) -> Record:
    """A study to read.

    Args:
        url: The server that has it, where neither its folder nor OPTUNA_STORAGE tells.

    Raises:
        InputError: there is no such study.
        EnvironmentError: its database cannot be read.
    """
    folder = runs / name
    return load(folder, sampler=None, url=storage.chosen(folder, url))


def space_facts(space: Space, url: str | None) -> dict[str, Any]:
    """What the database keeps of a space; on a server all of it, for machines without the file."""
    whole = {_TEXT: space.text, _MODULES: dict(space.modules)} if url else {}
    return {"space": space.digest, **whole}


def _record(
    folder: Path,
    space: Space,
    *,
    url: str | None,
    database: optuna.storages.RDBStorage,
    name: str,
    sampler: optuna.samplers.BaseSampler | None,
) -> Record:
    """The study of a name; with a sampler it can be written."""
    cached = optuna.storages.get_storage(database)
    with _only_json(folder, url):
        # In a file there is one; its folder may have another name by now.
        known = name if url else optuna.get_all_study_names(database)[0]
        study = optuna.load_study(
            study_name=known,
            storage=cached,
            sampler=sampler,
            pruner=optuna.pruners.NopPruner(),
        )
        # Everything that anybody will read: what is no JSON must not surprise them later.
        study.get_trials(deepcopy=False)
        _ = study.user_attrs
    return Record(
        folder,
        space,
        # The runs over fresh seeds are those of the study NAME/confirm.
        name=name.partition("/")[0],
        url=url,
        database=database,
        cached=cached,
        study=study,
        writes=sampler is not None,
    )


@contextlib.contextmanager
def _only_json(folder: Path, url: str | None) -> Generator[None]:
    """Refuse a database in which something else stands in the place of JSON."""
    try:
        yield
    except ValueError as error:
        where = postgres.public(url) if url else str(folder / sqlite.FILE)
        raise EnvironmentError(sqlite.damage(where, folder, str(error))) from error


def _write_files(folder: Path, text: str, modules: Mapping[str, str], url: str | None) -> None:
    """Write the files that mark a folder as a study's, where they are missing or differ."""
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    outside.write(modules, folder / outside.FOLDER)
    files = {"space.yaml": text, **({storage.POINTER: postgres.public(url)} if url else {})}
    for name, content in files.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != content:
            path.write_text(content, "utf-8")
