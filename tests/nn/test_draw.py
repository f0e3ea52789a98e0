import torch

from raylt.nn.draw import Draw, highest, random_ranks


def test_each_candidate_is_drawn_equally_often():
    # Six candidates for each of eight rows, and none for two.
    draws, count, same = 4000, 2, torch.zeros(10, 10, dtype=torch.bool)
    for row in range(8):
        same[row, [column for column in range(8) if column // 2 != row // 2]] = True
    hits = sum(
        highest(
            same,
            random_ranks(torch.tensor(3), torch.tensor(step), *same.shape, start=0),
            count=count,
        ).double()
        for step in range(draws)
    )
    shares = hits / draws
    # The tolerance is five standard deviations.
    expected, tolerance = count / 6, 5 * (1 / 3 * 2 / 3 / draws) ** 0.5
    assert ((shares[same] - expected).abs() < tolerance).all()
    assert (shares[~same] == 0).all()
    # Rows know nothing of each other.
    item = random_ranks(torch.tensor(3), torch.tensor(0), 8, 1000, start=0).double()
    correlations = torch.corrcoef(item) - torch.eye(8)
    assert correlations.abs().max() < 0.15


def test_the_draw_is_splitmix_and_does_not_ask_where_a_row_is_computed():
    seed, step = torch.tensor(2**61 + 5), torch.tensor(9)
    whole = random_ranks(seed, step, 6, 4, start=0)
    assert torch.equal(random_ranks(seed, step, 3, 4, start=3), whole[3:])
    assert not torch.equal(random_ranks(seed, step + 1, 6, 4, start=0), whole)

    def mixed(z):
        wide = 2**64 - 1
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & wide
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & wide
        return z ^ (z >> 31)

    golden_ratio, wide = 0x9E3779B97F4A7C15, 2**64 - 1
    stream = mixed((2**61 + 5 + 9 * golden_ratio) & wide)
    row = mixed((stream + 2 * golden_ratio) & wide)
    assert whole[2, 3] == mixed((row + 3 * golden_ratio) & wide) & (2**63 - 1)


def test_every_call_draws_anew_and_a_restored_state_goes_on():
    candidates = torch.ones(4, 50, dtype=torch.bool)
    draw = Draw()
    first = draw(candidates, count=3, start=0)
    state = {name: value.clone() for name, value in draw.state_dict().items()}
    second = draw(candidates, count=3, start=0)
    assert not torch.equal(first, second)
    other = Draw()
    other.load_state_dict(state)
    assert torch.equal(other(candidates, count=3, start=0), second)


def test_nothing_is_drawn_that_is_no_candidate():
    candidates = torch.tensor([[True, False, True, False], [False] * 4, [True] * 4])
    computed = Draw()(candidates, count=3, start=0)
    assert computed.sum(1).tolist() == [2, 0, 3]
    assert not (computed & ~candidates).any()
    assert Draw()(candidates, count=0, start=0).sum() == 0
