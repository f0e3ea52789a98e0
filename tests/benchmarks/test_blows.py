import json

from benchmarks import blows


def test_each_part_and_signal_is_a_row(tmp_path, monkeypatch):
    struck = [("raylet", "SIGKILL", 3.0), ("raylet", "SIGKILL", 5.0), ("trial", "SIGSTOP", 2.0)]
    run = {
        "seed": 7,
        "blows": [dict(zip(("part", "signal", "seconds"), item, strict=True)) for item in struck],
        "trials": 60,
        "epochs": 200,
    }
    written = tmp_path / "blows.jsonl"
    written.write_text(json.dumps(run) + "\n")
    monkeypatch.setenv("RAYLT_BLOWS_INTO", str(written))
    text, *_, row, last = blows.section()
    assert text.startswith("3 blows")
    assert "seed 7" in text
    assert "all 60 trials" in text
    assert row.startswith("| raylet | SIGKILL | 2 | 4 | 5 | ended with the reason")
    assert last.startswith("| trial | SIGSTOP | 1 | 2 | 2 | training on")
