"""The report: one file, offline, the verdict first, nothing of the user's text taken for HTML."""

import json
import re
from html.parser import HTMLParser

import pytest

from raylt import cli, space
from raylt.schema import EnvironmentError
from raylt.space.file.document import dump
from raylt.study.record import revise
from raylt.study.report import charts, findings, page
from tests.study import made
from tests.study.search.made import result, searcher


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return made.study(tmp_path_factory.mktemp("report"), trials=12)


@pytest.fixture(scope="module")
def document(record):
    return page.page(record, charts.of_study(record))


class Reader(HTMLParser):
    """Text outside of scripts, and what would be loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.words, self.loads, self.scripts, self.inside = [], [], 0, ""

    def handle_starttag(self, tag, attrs):
        self.inside = tag if tag in ("script", "style") else ""
        self.scripts += tag == "script"
        values = dict(attrs)
        self.loads += [values[key] for key in ("src", "href") if key in values]

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if not self.inside:
            self.words.append(data)


def read(document):
    reader = Reader()
    reader.feed(document)
    return reader, " ".join(" ".join(reader.words).split())


def test_the_numbers_say_that_they_are_of_one_seed(document):
    _, text = read(document)
    assert "best accuracy validation, one seed" in text
    assert "baseline accuracy validation, one seed" in text


def test_it_loads_nothing(document):
    reader, _ = read(document)
    assert reader.loads == ["data:,"]
    assert reader.scripts == 2


def test_the_verdict_comes_first_and_says_what_is_not_known(record, document):
    _, text = read(document)
    best = record.best()
    assert text.index(f"Trial {best.number} is the best") < text.index("Results")
    assert "Nothing is confirmed yet" in text
    assert "Test set never opened" in text
    assert "a paper, reaches" in text


def test_it_holds_all_that_is_needed_to_repeat_the_study(record, document):
    _, text = read(document)
    assert "raylt tune <made & up>" in text
    assert " ".join(dump(record.best().recipe).split()) in text
    assert " ".join(record.space.text.split()) in text
    assert f"raylt train -s {record.folder}/space.yaml" in text
    assert record.facts["fingerprint"] in text


def test_texts_of_users_stay_texts(document):
    assert "ValueError: &lt;no&gt; &amp; luck" in document
    assert "<made" not in document.split("<script>")[0]


def test_every_trial_is_ranked(record, document):
    _, text = read(document)
    ranking = text[text.index("Ranking") : text.index("Costs")]
    for trial in record.ranking():
        assert f"{trial.number} {trial.state}" in ranking


def test_a_head_sorts_and_empty_columns_are_left_out(tmp_path, record, document):
    assert document.count("<button type='button'>") > 10
    heads = re.findall(r"<button type='button'>(.*?)</button>", document)
    assert {"failure", "GPU-hours"} <= set(heads)
    whole = made.study(tmp_path, trials=2, failed=(), stopped=(), tables=False)
    heads = re.findall(r"<button type='button'>(.*?)</button>", page._ranking(whole))
    assert "failure" not in heads
    assert "val/knn" not in heads
    assert "accuracy" in heads


def _drawn(document):
    return json.loads(re.search(r"const drawings = (\{.*\});\n", document)[1])


def _places(document):
    return set(re.findall(r"<div id='chart-([a-z]+)'>", document))


def test_each_drawing_has_its_place(document):
    places = _places(document)
    assert set(_drawn(document)) == places
    assert {
        "cost",
        "parallel",
        "response",
        "pareto",
        "curves",
        "classes",
        "paid",
        "data",
    } <= places


def test_a_study_without_a_result_has_a_report(tmp_path):
    bare = made.study(tmp_path, trials=2, failed=(0, 1), tables=False)
    bare.note("data", {"copies": "2 pictures are in both"})
    _, text = read(page.page(bare, charts.of_study(bare)))
    assert "2 pictures are in both" in text
    assert "No trial has finished yet. Go on with" in text


def test_an_interrupted_study_shows_no_number_of_an_early_epoch(study):
    begun = study()
    driven = searcher(begun)
    driven.suggest("t")
    driven.started("t")
    driven.on_trial_result("t", result(1, **{"val/many": 0.6, "val/few": 0.4}))
    _, text = read(page.page(begun, charts.of_study(begun)))
    assert "No trial has finished yet. Go on with" in text
    assert "baseline accuracy" not in text
    assert "validation images. No trial has finished yet." in text


@pytest.mark.parametrize("retrain", ["split", "pool"])
def test_a_confirmation_leads(tmp_path, retrain):
    record = made.study(tmp_path, trials=3, failed=(), tables=False)
    (record.folder / "confirm").mkdir()
    seen = {
        "word": "better",
        "mean": 0.021,
        "low": 0.01,
        "high": 0.03,
        "p_holm": 0.016,
        "seeds": 6,
    }
    seeds = {"1": {"test/accuracy": 0.6, "test/few": 0.2}, "2": {"test/accuracy": 0.7}}
    candidate = {
        "verdict": seen,
        "runs": {"trial": 1, "test": seeds},
        "promised": 0.04,
        "kept": 0.02,
        "dropped": None,
        "paid": {
            "sentence": "few +3.1 at the cost of many -0.6",
            "classes": [{"mean": 0.03, "low": -0.01, "high": 0.07}, None],
            "train_counts": [104, 5],
        },
    }
    result = {"metric": "test/accuracy", "seeds": [1, 2], "retrain": retrain}
    result["baseline"] = {"trial": 0, "test": {"1": {"test/accuracy": 0.5}}}
    # The winner of the search left the race.
    left = {
        **candidate,
        "verdict": {**seen, "word": "not shown", "mean": None, "low": None, "high": None},
        "runs": {"trial": 2, "test": {}},
        "dropped": 3,
        "paid": None,
    }
    (record.folder / "confirm" / "verdict.json").write_text(
        json.dumps({**result, "candidates": [left, candidate]})
    )
    dropped, confirmed, *_ = findings.sentences(record)
    assert dropped.startswith("Trial 2 is not shown to be better than the baseline: it left")
    assert confirmed.startswith(
        "Trial 1 is confirmed: better than the baseline, +2.1 points in test/accuracy over 6 "
        "fresh seeds"
    )
    _, text = read(page.page(record, charts.of_study(record)))
    assert "Nothing is confirmed" not in text
    # The numbers are those of the fresh seeds.
    assert "65.0 accuracy of trial 1 test, mean of fresh seeds" in text
    assert "50.0 accuracy of the baseline test, mean of fresh seeds" in text
    assert "20.0 few-shot of trial 1 test, mean of fresh seeds" in text
    assert "validation, one seed" not in text
    assert "few +3.1 at the cost of many -0.6" in text
    assert ("validation images included" in text) == (retrain == "pool")
    assert "Trial 1 against the baseline on the test images, means over 2 seeds" in text


def test_a_folder_that_cannot_be_written_is_named(record, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(EnvironmentError, match="must be writable"):
        page.write(record, blocked / "report.html")


def test_the_file_appears_whole(record, tmp_path):
    path = page.write(record, tmp_path / "new" / "report.html")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_the_verb_says_where_it_wrote(record, tmp_path, capfd):
    words = ["report", "made", "--runs", str(record.folder.parent)]
    assert cli.run(words) == 0
    assert capfd.readouterr().out.strip() == str(record.folder / "report.html")
    assert cli.run([*words, "-o", str(tmp_path / "x.html")]) == 0
    assert (tmp_path / "x.html").stat().st_size > 1e6


def test_it_tells_how_the_space_was_widened_after_the_first_command(tmp_path):
    record = made.study(tmp_path, trials=3, failed=(), stopped=(), tables=False)
    wider = made.SPACE.replace("{low: 0.05, high: 1.0, log", "{low: 0.01, high: 1.0, log")
    (tmp_path / "wider.yaml").write_text(wider)
    new = space.load(tmp_path / "wider.yaml", ["study.name=made", "study.trials=3"])
    revise.space(record, new, "raylt resume made --space <wider>.yaml --trials +1")
    _, text = read(page.page(record, charts.of_study(record)))
    begun, _, after = text.partition("Begun with raylt tune <made & up>")[2].partition(
        "Revision 2"
    )
    assert begun == " "
    assert "raylt resume made --space <wider>.yaml --trials +1 method.temperature: " in after
    # A study of an older raylt does not know what was typed.
    (entry,) = revise.revisions(record)
    record.note("revisions", [{key: entry[key] for key in ("when", "before", "changes")}])
    _, text = read(page.page(record, charts.of_study(record)))
    assert "Revision 2 of the space, 20" in text
    assert "<wider>" not in text


def test_the_page_of_one_training_has_no_word_of_a_search(tmp_path):
    record = made.one_run(tmp_path)
    document = page.page(record, charts.of_study(record))
    assert set(_drawn(document)) == _places(document) == {"curves", "data"}
    _, text = read(document)
    ours = text[: text.index("Its recipe, every choice")]
    for word in ("search", "trials", "best", "winner", "baseline", "rank", "compare", "leaves"):
        assert word not in ours.replace(str(tmp_path), ""), word
    for word in ("leaf matters", "Nothing to draw: no leaf", "Many against few"):
        assert word not in ours
    assert "The model reaches accuracy " in ours
    assert "Scores Accuracies in per cent" in ours
    assert "time of the training" in ours
    assert "Train it again raylt train -s" in ours
