import pytest

from tests.study.run.made import outcome, search_result


@pytest.mark.parametrize(
    ("states", "interrupted", "code"),
    [
        (["complete", "stopped"], False, 0),
        (["complete", "failed"], False, 4),
        (["stopped", "failed"], False, 4),
        (["failed", "failed"], False, 5),
        (["complete"], True, 130),
        ([], False, 0),
    ],
)
def test_the_exit_code_follows_from_the_trials(states, interrupted, code):
    outcomes = [outcome(i, 0.5, state=state) for i, state in enumerate(states)]
    assert search_result(*outcomes, interrupted=interrupted).exit_code == code
