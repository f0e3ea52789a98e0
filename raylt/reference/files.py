"""Every file that a search writes, below the folder of runs."""

from __future__ import annotations

import re

FILES = {
    "STUDY/space.yaml": "The space, with every default that was chosen when the study began, and "
    "its name and number of trials of then; `raylt report` shows it with those of now.",
    "STUDY/study.db": "The study of record: an Optuna study in SQLite, with each trial's values, "
    "state and results. With `--storage` it is on PostgreSQL instead.",
    "STUDY/study.db-wal": "What SQLite has not yet moved into study.db; copy it along.",
    "STUDY/study.db-shm": "SQLite's index of that file.",
    "STUDY/storage.txt": "Where the study of record is, if it is on PostgreSQL; no password.",
    "STUDY/driver.lock": "Held by the command that runs the study; its process and machine.",
    "STUDY/plugins/*.py": "Copies of the modules that stood beside the space file.",
    "STUDY/report.html": "The page that `raylt report` writes.",
    "STUDY/.tune/**": "Ray Tune's own files, while a search runs.",
    "STUDY/trials/N/epochs.jsonl": "One line of JSON for each epoch of trial N: its metrics.",
    "STUDY/trials/N/classes.json": "Accuracy and confusions of each class at the last score.",
    "STUDY/trials/N/output.txt": "What the trial printed; `raylt logs` shows it.",
    "STUDY/trials/N/error.txt": "The traceback of a trial that failed.",
    "STUDY/trials/N/execution.json": "How it was computed: precision, memory layout, threads.",
    "STUDY/trials/N/checkpoint-NNNNNN.safetensors": "The state after that epoch; the two newest "
    "stay while it trains, and `study.checkpoints` says which stay at the end.",
    "STUDY/trials/N/best.safetensors": "The state after the epoch with the best objective.",
    "STUDY/confirm/verdict.json": "What `raylt confirm` found.",
    "STUDY/confirm/ablation.json": "What `raylt ablate` found.",
    "STUDY/confirm/space.yaml": "The space that it was confirmed with.",
    "STUDY/confirm/study.db*": "The trainings of `raylt confirm` and `raylt ablate`, as a "
    "study of their own.",
    "STUDY/confirm/trials/N/*": "The files of each of these trainings, as above.",
    "STUDY/confirm/trials/N/test.json": "Its result on the sealed test images.",
    "STUDY/confirm/trials/N/test-output.txt": "What was printed while the test images were read.",
    "STUDY.profile.json": "The trace that `raylt train --profile` writes.",
    "mlflow.db": "The MLflow store of all studies; with `--tracking-uri` it is elsewhere.",
    "artifacts/STUDY/**": "What MLflow keeps beside numbers: recipe, charts, tables of classes.",
    "measured.json": "Memory and time of a step, measured by `pack: auto` and `check --measure`.",
    "measured.json.lock": "Held while measured.json is written.",
    ".execution/*": "Which precision and layout is the fastest, measured once for each network "
    "and machine.",
}
"""Path -> what it is. STUDY is the name of a study and N the number of a trial; `*` is any part of
a name, and `**` are folders and files of any depth."""


def meaning(path: str) -> str | None:
    """What a file is by its path below the folder of runs; None where it is not listed."""
    return next((text for form, text in FILES.items() if _pattern(form).fullmatch(path)), None)


def _pattern(form: str) -> re.Pattern[str]:
    words = {"STUDY": r"[^/]+", "NNNNNN": r"\d{6}", "N": r"\d+", "**": ".*", "*": "[^/]*"}
    parts = re.split(r"(STUDY|NNNNNN|(?<=/)N(?=/)|\*\*|\*)", form)
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts))
