"""A table as LaTeX with booktabs, as Markdown, and as CSV."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from raylt import escape, plugins
from raylt.space.plan import LEVEL
from raylt.study.record.text import as_sentence, decimal, duration, hours, plain
from raylt.study.table import cite
from raylt.study.table.rows import COLUMNS, Cell, Row, Table
from raylt.study.verdict.significance import smallest_p

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # The names of hyperparameters are long: a line may end after an underscore.
    "_": r"\_\allowbreak{}",
    **{character: f"\\{character}" for character in "&%$#{}"},
}


def markdown(table: Table) -> str:
    """A table with pipes, and a footnote."""
    columns, (cost, costs) = _columns(table), _costs(table)
    lines = [["Setting", *columns, "Seeds", cost]]
    lines.append(["---", *["---:"] * (len(lines[0]) - 1)])
    for row, of_run in zip(table.rows, costs, strict=True):
        cells = [_plain(row.cells.get(column)) for column in columns]
        lines.append([escape.markdown(_name(table, row)), *cells, str(row.seeds), of_run])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    return "\n".join([*rows, "", *footnote(table, escape.markdown)])


def latex(table: Table) -> str:
    """A `table` environment as wide as the text; a long name takes several lines."""
    cited = _cited(table)
    label = "-".join(table.studies).replace("_", "-")
    several = any(cell.std is not None for row in table.rows for cell in row.cells.values())
    over = "mean and standard deviation over seeds" if several else "one seed each"
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs,tabularx}; in two columns make it a table*.",
            r"\begin{table}[t]",
            r"  \centering\footnotesize\setlength{\tabcolsep}{3pt}",
            f"  \\caption{{Accuracy in per cent on the {table.images} images, {over}.}}",
            f"  \\label{{tab:{label}}}",
            *_tabular(table),
            r"  \par\smallskip",
            r"  \begin{minipage}{\linewidth}\footnotesize\raggedright",
            *(f"    {line}" for line in footnote(table, tex)),
            *([f"    Methods and data: \\cite{{{cited}}}."] if cited else []),
            r"  \end{minipage}",
            r"\end{table}",
        ]
    )


def _tabular(table: Table) -> list[str]:
    """The heads and rows, the setting as wide as there is room."""
    columns, (cost, costs) = _columns(table), _costs(table)
    heads = ["Setting", *columns, "Seeds", cost.replace("hours", "h")]
    rows = [
        [
            tex(_name(table, row)),
            *(_math(row.cells.get(column)) for column in columns),
            str(row.seeds),
            tex(of_run),
        ]
        for row, of_run in zip(table.rows, costs, strict=True)
    ]
    return [
        r"  \begin{tabularx}{\linewidth}{@{}>{\raggedright\arraybackslash\hangindent=1em}X"
        f"{'r' * (len(heads) - 1)}@{{}}}}",
        r"    \toprule",
        f"    {' & '.join(heads)} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(row)} \\\\" for row in rows),
        r"    \bottomrule",
        r"  \end{tabularx}",
    ]


def _cited(table: Table) -> str:
    """The keys of the BibTeX entries of its methods and data."""
    used = cite.used([row.recipe for row in table.rows])
    keys = [cite.key(cite.entry(package, name)) for package, name in used]
    return ",".join(dict.fromkeys(key for key in keys if key))


def _costs(table: Table) -> tuple[str, list[str]]:
    """What the column of costs is called, and what a run of each row took: times where none took
    an hour."""
    if all(row.hours < 1 for row in table.rows):
        times = [duration(3600 * row.hours) for row in table.rows]
        return table.hours.replace("-hours", " time"), times
    return table.hours, [hours(row.hours) for row in table.rows]


def comma_separated(table: Table) -> str:
    """Every number with all its digits; `best` names the columns in which the row is shown to be
    the best one."""
    columns = _columns(table)
    spread = [f"{column} {what}" for column in columns for what in ("mean", "std")]
    more = ["seeds", table.hours, "best", "fewer seeds"]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["study", "method", "setting", "images", *spread, *more])
    for row in table.rows:
        cells = [row.cells.get(column) for column in columns]
        numbers = [number for cell in cells for number in _numbers(cell)]
        best = " ".join(column for column, cell in row.cells.items() if cell.best)
        named = [row.study, row.method, row.name, table.images]
        writer.writerow([*named, *numbers, row.seeds, row.hours, best, row.fewer])
    return file.getvalue().rstrip("\n")


def footnote(table: Table, escaped: Callable[[str], str]) -> list[str]:
    """How the numbers came about, a sentence a line."""
    recipes = [row.recipe for row in table.rows]
    probed = [recipe for recipe in recipes if _is_probed(recipe)]
    unlike = "" if len(probed) == len(recipes) else f" of {_values(probed, 'method')}"
    sizes = [row.imbalance for row in table.rows if row.imbalance is not None]
    fixed = {
        "data": " or ".join(dict.fromkeys(map(_data, recipes))),
        "imbalance": " or ".join(dict.fromkeys(map(plain, sizes))),
        "encoder": _values(recipes, "encoder"),
        "epochs": _values(recipes, "epochs"),
        f"probe{unlike}": _values(probed, "evaluation", "probe"),
        "its labels": _values(probed, "evaluation", "labels"),
    }
    if any(recipe["evaluation"]["probe"] == "reforward" for recipe in probed):
        fixed["its epoch by"] = _values(probed, "evaluation", "selection")
    in_common = ", ".join(f"{name} {value}" for name, value in fixed.items() if value)
    after = "the epoch that validation chose" if table.best_epoch else "the last epoch"
    std = f"std is {COLUMNS['Std']}, the standard deviation of the three group means"
    cost, _ = _costs(table)
    openings = zip(table.studies, table.openings, strict=True)
    sentences = [
        f"{in_common}; scores on the {table.images} images after {after}",
        *([f"settings were chosen by {table.objective}"] if table.objective else []),
        *_fewer(table),
        *([_one_seed(table)] if table.searched else []),
        *([std] if "Std" in _columns(table) else []),
        *([] if table.searched else [_bold(table)]),
        f"{cost} {'are' if cost == table.hours else 'is'} of one run",
        *(f"study {name}: test set opened {count}x" for name, count in openings),
    ]
    return [escaped(as_sentence(sentence)) for sentence in sentences]


def _data(recipe: Mapping[str, Any]) -> str:
    """The dataset of a run; that of a user with the name of what it was read from."""
    data = recipe["data"]
    places = getattr(plugins.config("datasets", data["name"]), "places", None)
    return f"{data['name']} {Path(data[places]).name}" if places else data["name"]


def _is_probed(recipe: Mapping[str, Any]) -> bool:
    """Whether the accuracy of a run is that of the probe."""
    method: Any = plugins.config("methods", recipe["method"]["name"])
    return method.model_validate(recipe["method"]).is_probed()


def _bold(table: Table) -> str:
    test = f"one-sided sign-flip test over paired seeds, not over images; Holm, {LEVEL:g}"
    if any(cell.best for row in table.rows for cell in row.cells.values()):
        return f"bold: better than every other row ({test})"
    recipes = [row.recipe for row in table.rows]
    rivals = sum(recipe not in recipes[:i] for i, recipe in enumerate(recipes)) - 1
    needed = next(
        n for n in itertools.count(1) if rivals * smallest_p(n, two_sided=False) <= LEVEL
    )
    too_few = max(row.seeds for row in table.rows) < needed
    more = f"; beside {rivals} others it takes at least {needed} seeds" if too_few else ""
    return f"no row is shown to be better than every other ({test}{more})"


def _fewer(table: Table) -> list[str]:
    """Which rows have fewer seeds, and why; those of one reason together."""
    rows: dict[str, list[str]] = {}
    for row in table.rows:
        if row.fewer:
            rows.setdefault(row.fewer, []).append(_name(table, row))
    return [f"{reason}: {'; '.join(names)}" for reason, names in rows.items()]


def tex(text: str) -> str:
    """A text for LaTeX, which shows it as it is."""
    return "".join(_LATEX.get(character, character) for character in text)


def _name(table: Table, row: Row) -> str:
    """The method and the setting; with several studies of one method the study."""
    studies = {other.study: other.method for other in table.rows}
    several = len(studies) > len({*studies.values()})
    return f"{row.study if several else row.method}, {row.name}"


def _columns(table: Table) -> list[str]:
    """The columns that some row has."""
    return [column for column in COLUMNS if any(column in row.cells for row in table.rows)]


def _plain(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    text = decimal(cell.mean) + ("" if cell.std is None else f" ± {decimal(cell.std)}")
    return f"**{text}**" if cell.best else text


def _math(cell: Cell | None) -> str:
    if cell is None:
        return "--"
    number = decimal(cell.mean)
    mean = f"\\mathbf{{{number}}}" if cell.best else number
    spread = "" if cell.std is None else f"_{{\\pm {decimal(cell.std)}}}"
    return f"${mean}{spread}$"


def _numbers(cell: Cell | None) -> tuple[float | str, float | str]:
    return ("", "") if cell is None else (cell.mean, "" if cell.std is None else cell.std)


def _values(recipes: Iterable[Mapping[str, Any]], *path: str) -> str:
    """The values that recipes have at a key, each once."""
    values: list[str] = []
    for recipe in recipes:
        value: Any = recipe
        for word in path:
            value = value.get(word) if isinstance(value, Mapping) else None
        if isinstance(value, Mapping):
            value = value["name"]
        if value is not None:
            values.append(plain(value))
    return " or ".join(dict.fromkeys(values))


def _one_seed(table: Table) -> str:
    """Which seed the scores are of; where nothing was searched there is no winner."""
    chosen = any("winner" in row.name for row in table.rows)
    if len(table.rows) == 1:
        return "one seed"
    return f"one seed each{': that by which the search chose the winner' if chosen else ''}"
