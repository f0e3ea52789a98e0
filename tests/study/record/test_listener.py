"""What a listener is told; that a search tells it is in test_searcher.py."""

import inspect

import pytest

from raylt import recipe
from raylt.study.record.listener import Listener, Task
from tests.space.made import RECIPE

HOOKS = [name for name, _ in inspect.getmembers(Listener, inspect.isfunction)]


def test_the_hooks_are_the_life_of_a_trial_and_each_is_explained():
    assert set(HOOKS) == {"started", "reported", "ended", "interrupted"}
    assert all(inspect.getdoc(getattr(Listener, name)) for name in HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_listener_overrides_what_matters_to_it_alone(hook):
    heard = []
    kind = type("Mine", (Listener,), {hook: lambda self, *text: heard.append(text)})
    task = Task(number=1, role="sampled", point={}, recipe=recipe.parse(RECIPE), attempt=1)
    for name in HOOKS:
        arguments = len(inspect.signature(getattr(Listener, name)).parameters) - 1
        getattr(kind(), name)(task, *[None] * (arguments - 1))
    assert [text[0] for text in heard] == [task]
