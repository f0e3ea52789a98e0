from raylt.study.verdict import test_openings
from tests.study import made


def test_every_opening_is_written_down_and_going_on_with_one_is_no_new_one(tmp_path):
    record = made.study(tmp_path, trials=1, stopped=(), failed=(), tables=False)
    assert test_openings.openings(record) == ()
    assert test_openings.sentence(record) == "test set never opened"
    first = test_openings.open_test(record, ["b", "a"])
    assert first.recipes == ("a", "b")
    assert "@" in first.who
    # It was cut short, and the same recipes are scored again.
    assert test_openings.open_test(record, ["a", "b"]) == first
    second = test_openings.open_test(record, ["a", "b", "c"])
    assert test_openings.openings(made.again(record)) == (first, second)
    assert test_openings.sentence(record).startswith(
        f"test set opened 2x, last on {second.when[:10]} {second.when[11:16]} UTC by "
    )
