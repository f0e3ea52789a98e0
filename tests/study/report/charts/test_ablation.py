import json

from raylt.study.report.charts import ablation
from raylt.study.verdict import answer
from tests.study import made


def test_an_effect_that_was_never_measured_has_no_bar(tmp_path):
    study = made.study(tmp_path, trials=1, failed=())
    (study.folder / answer.FOLDER).mkdir()

    def effect(name, mean):
        verdict = {"word": "not shown", "mean": mean, "low": None, "high": None}
        return {"subject": {"name": name, "way": "out"}, "verdict": verdict, "dropped": None}

    result = {
        "trial": 1,
        "metric": "val/accuracy",
        "seeds": [1, 2],
        "sentence": "Nothing.",
        "path": [],
        "effects": [effect("a", 0.1), effect("b", None)],
    }
    answer_file = study.folder / answer.FOLDER / "ablation.json"
    answer_file.write_text(json.dumps({"val/accuracy": result}))
    (chart,) = ablation.charts(study)
    (panel,) = chart.body
    assert panel.y.ticks == ("a",)
    assert panel.marks[0].y == (10.0,)
    assert panel.marks[0].intervals == ((10.0, 10.0),)
