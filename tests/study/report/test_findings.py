import pytest

from raylt.space.rival import rival as rival_of
from raylt.study.report import findings
from raylt.study.verdict import confirmation
from tests.study import made


@pytest.fixture
def record(tmp_path):
    return made.study(tmp_path)


def test_the_best_trial_stands_beside_the_baseline_and_nothing_is_confirmed(record):
    best, against, unconfirmed, opened = findings.sentences(record)
    assert best.startswith(f"Trial {record.best().number} is the best: ")
    assert best.endswith("on the validation images.")
    assert against.startswith("The baseline, a paper, reaches ")
    assert "one seed each" in against
    assert f"the best of {len(record.outcomes())} trials is best in part by luck" in unconfirmed
    assert "raylt confirm made" in unconfirmed
    assert opened == "Test set never opened."


def test_a_confirmation_comes_before_the_search(record, monkeypatch):
    messages = ["Test set opened 1x.", "Confirmed over 6 seeds: trial 3 better"]
    monkeypatch.setattr(confirmation, "brief", lambda study: messages)
    monkeypatch.setattr(confirmation, "stored", lambda study: {})
    confirmed, opened, best, _ = findings.sentences(record)
    assert confirmed == "Confirmed over 6 seeds: trial 3 better."
    assert opened == "Test set opened 1x."
    assert best.startswith("Trial ")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"trials": 1, "failed": ()}, "The search found nothing better than the baseline."),
        ({"trials": 4, "failed": (0,)}, "The baseline has no score to compare with."),
    ],
)
def test_what_cannot_be_compared_is_said(tmp_path, options, sentence):
    study = made.study(tmp_path, stopped=(), tables=False, **options)
    assert any(line.startswith(sentence) for line in findings.sentences(study))


def test_a_baseline_that_won_was_not_lucky(tmp_path):
    study = made.study(tmp_path, trials=1, failed=(), stopped=(), tables=False)
    text = " ".join(findings.sentences(study))
    assert text.startswith("Trial 0, the baseline, is the best: ")
    assert "luck" not in text
    assert "trains the best of the others and the baseline again" in text


def test_few_validation_images_are_said(record):
    record.note("validation", 6)
    assert "One of the 6 validation images is worth 17 points of accuracy" in " ".join(
        findings.sentences(record)
    )


def test_a_candidate_that_is_confirmed_stands_beside_a_baseline_that_won(tmp_path, monkeypatch):
    study = made.study(tmp_path, trials=1, failed=(), stopped=(), tables=False)
    monkeypatch.setattr(confirmation, "brief", lambda study: ["Opened 1x.", "Trial 4 is better"])
    monkeypatch.setattr(confirmation, "stored", lambda study: {})
    text = " ".join(findings.sentences(study))
    assert text.startswith("Trial 4 is better. Opened 1x. Trial 0, the baseline, was the best of")
    assert "nothing better" not in text


def test_a_search_that_is_not_done_is_gone_on_with_and_not_confirmed(tmp_path):
    study = made.study(tmp_path, trials=3, failed=(), stopped=(), tables=False)
    study.note("trials", 9)
    text = " ".join(findings.sentences(study))
    assert "3 of 9 trials have ended: go on with `raylt resume made" in text
    assert "confirm" not in text


def test_without_a_finished_trial_the_way_on_is_named(tmp_path):
    study = made.study(tmp_path, trials=1, failed=(0,), tables=False)
    assert findings.sentences(study)[1] == (
        f"Go on with `raylt resume made --retry-failed --runs {tmp_path}`."
    )


def test_a_rival_that_leads_comes_first(tmp_path):
    study = made.study(tmp_path, "study.versus=simclr", trials=4, failed=(), tables=False)
    text = rival_of(study.space).text
    other = made.study(tmp_path, name="made-versus-simclr", trials=5, text=text, tables=False)
    headline, best, *_ = findings.sentences(study)
    assert headline.startswith("sdclr and simclr reach the same accuracy, ")
    assert findings.sentences(other)[0] == headline
    assert best.startswith("Trial 0, the baseline, is the best: ")


def test_one_run_is_compared_with_nothing(tmp_path):
    run, opened = findings.sentences(made.one_run(tmp_path))
    assert run.startswith("The model reaches accuracy ")
    assert opened == "Test set never opened."
