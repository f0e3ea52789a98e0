"""An ablation without a study."""

from raylt.study.verdict import ablation, significance
from raylt.study.verdict.ablation import Ablation, Effect, Step, Subject
from raylt.study.verdict.answer import SeedResults
from raylt.study.verdict.interplay import estimate, interplay

LEADS = {
    ("whole", "all changes"): [0.10, 0.11, 0.12, 0.10, 0.13, 0.12, 0.10, 0.11],
    ("out", "a"): [0.10, 0.09, 0.11, 0.10, 0.12, 0.11, 0.10, 0.10],
    ("out", "b"): [0.01, -0.01, 0.0, 0.01, -0.02, 0.01, -0.01, 0.0],
    ("in", "a"): [0.10, 0.12, 0.11, 0.09, 0.13, 0.12, 0.11, 0.11],
    ("in", "b"): [-0.03, -0.02, -0.04, -0.03, -0.02, -0.03, -0.03, -0.02],
    ("declared", "no contrast"): [0.05, 0.04, 0.06, 0.05, 0.05, 0.04, 0.06, 0.05],
    ("declared", "cosine"): [-0.05, -0.04, -0.06, -0.05, -0.05, -0.04, -0.06, -0.05],
}


def ablated(leads=LEADS, **changes):
    """An ablation of made-up leads: all changes together, the changes set back alone and taken
    over alone, and the parts of the method."""
    verdicts = significance.judge(
        list(leads.values()), out_of_race=[False] * len(leads), level=0.05
    )
    names = [name for way, name in leads if way == "out"]
    results = SeedResults(
        trial=3,
        role="ablation",
        point={},
        test={},
        validation={"1": {"val/accuracy": 0.8}},
        failures={},
    )
    effects = tuple(
        Effect(
            subject=Subject(name=name, way=way, words=""),
            runs=results,
            verdict=verdict,
            dropped=None,
        )
        for (way, name), verdict in zip(leads, verdicts, strict=True)
    )
    rows = {key: dict(enumerate(row)) for key, row in leads.items()}
    both = {name: interplay(rows["out", name], [rows["in", name]]) for name in names}
    apart = interplay(rows["whole", "all changes"], [rows["in", name] for name in names])
    plain = {
        "study": "made",
        "metric": "val/accuracy",
        "level": 0.05,
        "seeds": tuple(range(1, 9)),
        "openings": 0,
        "test_openings": "test set never opened",
        "tracking_uri": "",
        "notices": (),
        "interrupted": False,
        "trial": 3,
        "together": {names[-1]: "one depends on the other"},
        "changes": {name: f"{name} 1 -> 2" for name in names},
        "baseline": results,
        "winner": results,
        "effects": effects,
        "interplay": both,
        "one_by_one": apart,
        "set_back": apart,
        "path": (
            Step(name="baseline", score=0.8, gain=None, tried={}, dropped={}),
            *(
                Step(name=name, score=0.9 + i / 100, gain=estimate([0.1]), tried={}, dropped={})
                for i, name in enumerate(names)
            ),
        ),
        "sentence": ablation.sentence(effects, both, apart),
    }
    return Ablation(**{**plain, **changes})
