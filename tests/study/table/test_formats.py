import csv
import shutil
import subprocess
from dataclasses import replace

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker

from raylt import cli
from raylt.study.table import formats
from raylt.study.table.rows import COLUMNS, Cell, Row, Table
from tests.study import made

RECIPE = {
    "data": {"name": "digits", "imbalance": 20.0},
    "method": {"name": "bcl"},
    "encoder": "small",
    "epochs": 60,
    "evaluation": {"probe": "lbfgs", "labels": "tail", "selection": "top-1"},
}


def row(name, *, study="bcl-digits", best=False, fewer=""):
    cells = {
        "All": Cell(mean=90.25, std=0.5, best=best),
        "Few": Cell(mean=80.0, std=None, best=False),
    }
    return Row(
        study=study,
        method="bcl",
        name=name,
        cells=cells,
        seeds=6,
        fewer=fewer,
        hours=2.5,
        imbalance=20.0,
        recipe=RECIPE,
    )


def table(*rows, studies=("bcl-digits",), hours="CPU-hours"):
    return Table(
        rows=rows,
        images="test",
        studies=studies,
        objective="val/accuracy",
        hours=hours,
        openings=tuple(2 for _ in studies),
        best_epoch=False,
        searched=False,
        notices=(),
    )


def environments(nodes):
    """Every environment of a text by its name, parsed strictly."""
    named = {}
    for node in nodes or ():
        if isinstance(node, LatexEnvironmentNode):
            named[node.environmentname] = node
            named |= environments(node.nodelist)
    return named


def parsed(text):
    return environments(LatexWalker(text, tolerant_parsing=False).get_latex_nodes()[0])


def test_latex_has_a_cell_for_each_column_and_bold_where_it_is_shown():
    text = formats.latex(table(row("baseline"), row("trial 3", best=True)))
    body = parsed(text)["tabularx"].latex_verbatim()
    lines = [line for line in body.splitlines() if line.strip().endswith("\\\\")]
    assert [line.count("&") for line in lines] == [4, 4, 4]
    assert r"bcl, trial 3 & $\mathbf{90.3}_{\pm 0.5}$ & $80.0$ & 6 & 2.5" in lines[2]
    assert r"bcl, baseline & $90.3_{\pm 0.5}$" in lines[1]
    for rule in ("toprule", "midrule", "bottomrule"):
        assert f"\\{rule}" in body
    assert r"\cite{zhu2022balanced,alpaydin1998optical}" in text
    assert "& CPU-h " in text
    assert "CPU-hours are of one run" in text


def test_runs_of_less_than_an_hour_are_told_in_minutes_and_seconds():
    short = [replace(row("a"), hours=0.5), replace(row("b"), hours=0.0007)]
    text = formats.markdown(table(*short))
    assert "| CPU time |" in text
    assert text.count("30m00s") == text.count("2.5s") == 1
    assert "CPU time is of one run." in text
    assert "& CPU time " in formats.latex(table(*short))
    assert "CPU-hours" in formats.markdown(table(*short, replace(row("c"), hours=1.0)))
    assert ",0.0007," in formats.comma_separated(table(*short))


def test_the_caption_speaks_of_deviations_only_where_there_are_any():
    cells = {"All": Cell(mean=90.0, std=None, best=False)}
    single = replace(row("baseline"), cells=cells, seeds=1)
    assert "images, one seed each.}" in formats.latex(table(single))
    assert "images, mean and standard deviation over seeds.}" in formats.latex(table(row("a")))


def test_names_with_the_signs_of_latex_are_shown_as_they_are():
    text = formats.latex(table(row(r"50% & a_b #1 {x} ~ ^ \ $"), studies=("a_b",)))
    assert r"50\% \& a\_\allowbreak{}b \#1 \{x\} \textasciitilde{} \textasciicircum{} " in text
    assert set(parsed(text)) >= {"table", "tabularx", "minipage"}


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Z"))))
def test_no_name_breaks_the_table(name):
    text = formats.latex(table(row(f"x{name}")))
    body = parsed(text)["tabularx"].latex_verbatim()
    assert body.replace(r"\&", "").count("&") == 8


def test_markdown_keeps_its_columns_and_says_how_the_numbers_came_about():
    text = formats.markdown(table(row("a|b", best=True), row("c"), hours="GPU-hours"))
    lines = text.splitlines()
    assert lines[0].split() == [
        "|",
        "Setting",
        "|",
        "All",
        "|",
        "Few",
        "|",
        "Seeds",
        "|",
        "GPU-hours",
        "|",
    ]
    assert "**90.3 ± 0.5**" in lines[2]
    assert r"a\|b" in lines[2]
    for words in ("imbalance 20,", "encoder small", "epochs 60", "opened 2x"):
        assert words in text
    assert "chosen by val/accuracy" in text


def test_rows_that_have_fewer_seeds_for_one_reason_are_one_sentence():
    left = [row(name, fewer="left the race after 3 seeds") for name in ("only lr", "only tau")]
    text = formats.markdown(table(row("baseline"), *left, row("no x", fewer="2 of 9 seeds")))
    assert "Left the race after 3 seeds: bcl, only lr; bcl, only tau.\n" in text
    assert "2 of 9 seeds: bcl, no x.\n" in text


def test_the_imbalance_is_that_of_the_images_and_left_out_where_it_is_not_known():
    data = {"name": "folder", "images": "pets/birds", "imbalance": 100.0, "natural": True}
    natural = {**RECIPE, "data": data}
    known = replace(row("a"), recipe=natural, imbalance=15.0)
    for written in (formats.markdown, formats.latex):
        text = written(table(known))
        assert "Data folder birds, imbalance 15," in text
        assert "100" not in text
        assert "imbalance" not in written(table(replace(known, imbalance=None)))


def test_the_probe_is_told_where_it_classifies():
    (first, *_) = formats.footnote(table(row("a")), str)
    assert first.startswith("Data digits, imbalance 20, encoder small, epochs 60; scores on")
    untrained = {"name": "bcl", "classification_weight": 0}
    simclr = replace(row("b"), recipe={**RECIPE, "method": {"name": "simclr"}})
    for probed in (simclr, replace(row("b"), recipe={**RECIPE, "method": untrained})):
        (first, *_) = formats.footnote(table(probed), str)
        assert "epochs 60, probe lbfgs, its labels tail; scores on" in first
    (first, *_) = formats.footnote(table(row("a"), simclr), str)
    assert "epochs 60, probe of simclr lbfgs, its labels tail; scores on" in first


def test_the_footnote_explains_bold_only_where_something_is():
    shown, unshown = (formats.markdown(table(row("a", best=best), row("b"))) for best in (1, 0))
    assert "Bold: better than every other row (one-sided" in shown
    assert "over paired seeds, not over images;" in shown
    assert "Bold" not in unshown
    assert "No row is shown to be better than every other (one-sided" in unshown


def test_the_footnote_says_how_many_seeds_it_takes_where_they_are_too_few():
    few = [replace(row(str(i)), seeds=5, recipe={**RECIPE, "epochs": i + 1}) for i in range(4)]
    # Three comparisons at 0.05: 3 / 2^5 is above it and 3 / 2^6 is not.
    assert "Holm, 0.05; beside 3 others it takes at least 6 seeds)" in formats.markdown(
        table(*few)
    )
    enough = [replace(few[0], seeds=6), *few[1:]]
    assert "Holm, 0.05)" in formats.markdown(table(*enough))
    # A setting that two studies have in common is one.
    assert "beside" not in formats.markdown(table(few[0], few[0]))


def test_csv_has_every_digit_and_the_columns_that_are_best():
    (first, second) = csv.DictReader(
        formats.comma_separated(table(row("a,b", best=True), row("c"))).splitlines()
    )
    assert (first["setting"], first["All mean"], first["best"]) == ("a,b", "90.25", "All")
    assert (second["Few std"], second["best"]) == ("", "")


def test_studies_of_one_method_are_told_apart_by_their_names():
    rows = (row("baseline"), row("baseline", study="other"))
    text = formats.markdown(table(*rows, studies=("bcl-digits", "other")))
    assert "| bcl-digits, baseline" in text
    assert "| other, baseline" in text
    # A study whose settings have no score has no row to be told apart from.
    assert "| bcl, baseline" in formats.markdown(table(rows[0], studies=("bcl-digits", "other")))


def test_the_command_writes_a_table_and_refuses_what_is_no_study(toy, tmp_path):
    toy.confirm()
    where = ["--runs", str(tmp_path / "runs")]
    for form in ("markdown", "latex", "csv"):
        shown = CliRunner().invoke(cli.commands, ["table", "toy", "--format", form, *where])
        assert shown.exit_code == 0, shown.output
        assert "trial 1 (winner)" in shown.output
    shown = CliRunner().invoke(cli.commands, ["table", "toy", "--bib", *where])
    assert shown.output.startswith("@inproceedings{jiang2021self,")
    # A study without a score in the table is cited all the same.
    name = "other"
    made.study(tmp_path / "runs", "study.versus=null", name=name, trials=2, failed=()).close()
    only = CliRunner().invoke(cli.commands, ["table", name, "--on", "test", "--bib", *where])
    assert only.output == shown.output
    assert cli.run(["table", "toys", *where]) == 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX with booktabs")
@pytest.mark.parametrize(("options", "environment"), [("10pt", "table"), ("twocolumn", "table*")])
def test_latex_itself_takes_the_table_and_it_is_no_wider_than_the_text(
    tmp_path, options, environment
):
    names = (
        "baseline",
        "trial 12 (winner)",
        "complement_weight set back",
        r"& 5% #1 {x} ~ ^ \ $ <|>",
    )
    cells = {column: Cell(mean=100.0, std=10.2, best=True) for column in COLUMNS}
    rows = [replace(row(name), cells=cells, hours=123.4) for name in names]
    text = formats.latex(table(*rows, hours="GPU-hours")).replace("{table}", f"{{{environment}}}")
    document = [
        f"\\documentclass[{options}]{{article}}",
        r"\usepackage{booktabs,tabularx}",
        r"\begin{document}",
        text,
        r"\end{document}",
    ]
    (tmp_path / "paper.tex").write_text("\n".join(document))
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (tmp_path / "paper.pdf").stat().st_size > 5000
