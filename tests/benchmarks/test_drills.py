import json

from benchmarks import drills


def test_each_blow_is_a_row_with_the_median_of_its_times():
    times = [("a cable", 40.0), ("a host", 20.0), ("a cable", 50.0), ("a cable", 90.0)]
    text = "\n".join(json.dumps({"blow": blow, "seconds": s}) for blow, s in times)
    rows = drills.table(text, "==== 5 passed in 9.00s ====")
    assert "| a cable | 50 | 3 |" in rows
    assert "| a host | 20 | 1 |" in rows
    assert rows[-1] == "`pytest -m cluster`: 5 passed in 9.00s."
