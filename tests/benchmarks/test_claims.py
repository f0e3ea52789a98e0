import json

import pytest

from benchmarks import claims


def test_both_sides_of_a_claim_differ_in_their_method_alone():
    for claim in claims.CLAIMS:
        sides = [
            claims.recipe_of(claims.SIDES[name], seed=1, epochs=6).model_dump(exclude={"method"})
            for name in (claim.better, claim.other)
        ]
        assert sides[0] == sides[1]
        assert sides[0]["encoder"] == "small"


def test_the_whole_published_tail_is_trained_for_bcl():
    recipe = claims.recipe_of(claims.SIDES["BCL"], seed=0, epochs=6)
    assert sum(recipe.data.train_counts() or ()) == 10_847


def test_students_interval():
    mean, low, high = claims.interval([1.0, 2.0, 3.0])
    assert mean == pytest.approx(2.0)
    # t of 2 degrees of freedom is 4.3027, the standard error 1 / sqrt(3).
    assert (low, high) == (pytest.approx(-0.4841, abs=1e-4), pytest.approx(4.4841, abs=1e-4))


def test_a_claim_counts_as_shown_on_the_claimed_side_of_zero_alone(tmp_path):
    rows = []
    for name, side in claims.SIDES.items():
        for seed in range(2):
            digest = claims.recipe_of(side, seed=seed, epochs=1).digest
            ahead = 0.1 if name in ("SDCLR", "BCL") else 0.0
            metrics = {
                claim.metric: 0.3 + ahead + 0.001 * seed * (name == "SDCLR")
                for claim in claims.CLAIMS
            }
            rows.append({"digest": digest, **metrics})
    (tmp_path / "claims.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    table = claims.section(tmp_path, seeds=2, epochs=1)[-len(claims.CLAIMS) :]
    assert "| yes |" in table[0]
    # A larger deviation over the thirds is the opposite of what is claimed.
    assert "| no: the opposite |" in table[2]
    assert "40.0 against 30.0 | +10.00 (+10.00 ... +10.00) | yes" in table[3]
