import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from raylt import contrast, encoders, plugins
from raylt.methods import _base
from raylt.nn.temperature import Temperature, cosine_temperature
from raylt.schema import ContrastConfig

NAMES = [
    name
    for name in plugins.names("methods")
    if issubclass(plugins.config("methods", name), ContrastConfig)
]
every_contrast = pytest.mark.parametrize("name", NAMES)
periods = st.integers(2, 1000)
swings = st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted)


def config(name="x", **changes):
    return ContrastConfig(name=name, **changes)


def of_kukleva(epoch, lowest, highest, t):
    """The published program: t_min + (t_max - t_min)(1 + cos(pi e / T)) / 2."""
    return lowest + 0.5 * (highest - lowest) * (1 + math.cos(math.pi * epoch / t))


@given(st.integers(0, 5000), swings, st.integers(1, 500))
def test_it_is_the_formula_of_the_program(epoch, swing, t):
    lowest, highest = swing
    computed = cosine_temperature(epoch, highest=highest, lowest=lowest, period=2 * t)
    assert computed == pytest.approx(of_kukleva(epoch, lowest, highest, t), abs=1e-9)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, 1.0), (100, 0.55), (200, 0.1), (300, 0.55), (400, 1.0), (600, 0.1)],
)
def test_the_published_schedule_at_known_epochs(epoch, expected):
    computed = cosine_temperature(epoch, highest=1.0, lowest=0.1, period=400)
    assert computed == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 3000), swings, periods)
def test_it_stays_between_its_ends_and_comes_back(epoch, swing, period):
    lowest, highest = swing
    now, later = (
        cosine_temperature(e, highest=highest, lowest=lowest, period=period)
        for e in (epoch, epoch + period)
    )
    assert lowest - 1e-12 <= now <= highest + 1e-12
    assert later == pytest.approx(now, abs=1e-9)


def test_a_constant_temperature_is_the_configured_number_in_every_epoch():
    temperature = Temperature(config(temperature=0.07))
    for epoch in (0, 1, 200):
        temperature.begin_epoch(epoch)
        assert temperature.value.item() == 0.07


def test_the_epoch_alone_decides_so_that_a_resumed_run_has_the_same():
    swinging = config(temperature=1.0, temperature_schedule="cosine", temperature_period=20)
    through, resumed = Temperature(swinging), Temperature(swinging)
    for epoch in range(14):
        through.begin_epoch(epoch)
    resumed.begin_epoch(13)
    assert torch.equal(resumed.value, through.value)
    assert 0.1 < through.value.item() < 1.0


@every_contrast
def test_every_method_contrasts_at_the_temperature_of_the_epoch(name):
    def term(epoch, **changes):
        torch.manual_seed(0)
        net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
        method = _base.build(plugins.config("methods", name)(**changes), net, (9, 5))
        generator = torch.Generator().manual_seed(1)
        views = [torch.rand(6, 1, 8, 8, generator=generator) for _ in method.views(method.config)]
        method.begin_epoch(epoch)
        return method(views, torch.tensor([0, 0, 0, 0, 1, 1]))["contrast"]

    swing = {"temperature_schedule": "cosine", "temperature_min": 0.1, "temperature_period": 8}
    for epoch, temperature in ((0, 0.9), (2, 0.5), (4, 0.1), (8, 0.9)):
        computed = term(epoch, temperature=0.9, **swing)
        assert_close(computed, term(0, temperature=temperature), rtol=1e-6, atol=1e-7)
    assert not torch.equal(term(0, temperature=0.9), term(0, temperature=0.1))


def test_a_number_on_the_device_is_the_same_temperature():
    rows = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    number = contrast.similarities(rows, rows, temperature=0.3)
    computed = contrast.similarities(
        rows, rows, temperature=torch.tensor(0.3, dtype=torch.float64)
    )
    assert computed.dtype == torch.float32
    assert_close(computed, number)


def test_a_lowest_temperature_above_the_highest_is_refused_only_where_it_counts():
    with pytest.raises(ValueError, match="temperature_min must be at most temperature"):
        config(temperature=0.05, temperature_schedule="cosine")
    assert config(temperature=0.05).temperature_min == 0.1
