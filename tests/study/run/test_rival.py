from raylt.space.rival import rival as rival_of
from raylt.study.record import studies
from raylt.study.run import driver, plan
from raylt.study.run.result import Result
from raylt.study.run.rival import follow
from raylt.study.search import sampler
from tests.study import drive


def create(folder, space):
    return studies.create(
        folder / "runs" / space.study.name,
        space,
        sampler=sampler.sampler(space, begun=0),
        queue=(),
        facts={"floor": {}, "fingerprint": drive.FINGERPRINT},
    )


def test_the_rival_follows_a_study_and_goes_on_if_it_had_begun(tmp_path, monkeypatch):
    space = drive.toy(tmp_path, "study.versus=simclr")
    create(tmp_path, space).close()
    result = type("Result", (), {"name": "toy", "versus": "simclr", "interrupted": False})()
    settings = drive.settings(tmp_path)
    calls = []

    def ended(call):
        calls.append(call)
        known = dict.fromkeys(Result.__dataclass_fields__)
        return Result(**{**known, "interrupted": False, "notices": ("one",)})

    monkeypatch.setattr(plan, "check", lambda space, s, data_of: space.study.name)
    monkeypatch.setattr(driver, "run", lambda name, **_: ended(name))
    monkeypatch.setattr(driver, "resume", lambda name, s, **_: ended("resume"))
    # The first study gets the picture of both, too.
    monkeypatch.setattr(driver, "send", lambda name, s: (f"{name} not sent",))
    assert follow(result, settings).notices == ("one", "toy not sent")
    create(tmp_path, rival_of(space)).close()
    follow(result, settings)
    assert calls == ["toy-versus-simclr", "resume"]
    result.interrupted = True
    assert follow(result, settings) is None
