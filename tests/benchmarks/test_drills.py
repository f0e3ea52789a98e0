import json

from benchmarks import drills


def test_each_blow_is_a_row_with_the_median_of_its_times(tmp_path, monkeypatch):
    times = [
        ("a cable", 40.0, 2.0),
        ("a host", 20.0, 1.4),
        ("a cable", 50.0, 3.0),
        ("a cable", 90.0, 9.0),
    ]
    lines = [json.dumps({"blow": b, "seconds": s, "load": load}) for b, s, load in times]
    written = tmp_path / "times.jsonl"
    written.write_text("\n".join(lines))
    monkeypatch.setenv("RAYLT_DRILLS", str(written))
    assert drills.section()[-2:] == ["| a cable | 50 | 2, 3, 9 |", "| a host | 20 | 1 |"]
