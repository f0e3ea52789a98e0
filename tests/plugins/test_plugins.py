from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import raylt.methods
from raylt import encoders, plugins
from raylt.plugins import outside
from raylt.schema import InputError
from raylt.space.baseline import published
from raylt.space.json_schema import json_schema

EVERY = [
    (package, name)
    for package in ("methods", "datasets", "samplers", "schedulers")
    for name in plugins.names(package)
]


def described(config: Any) -> dict[str, Any]:
    """What a Config is, apart from the module that it was made in."""
    return config.model_json_schema()


@pytest.mark.parametrize(("package", "name"), EVERY)
def test_the_light_config_is_that_of_the_whole_file(package: str, name: str) -> None:
    light, whole = plugins.config(package, name), plugins.module(package, name).Config
    assert described(light) == described(whole)
    assert list(light.model_fields) == list(whole.model_fields)
    assert light.model_fields["name"].default == name


def test_the_folder_is_the_registry() -> None:
    assert {"sdclr", "bcl", "simclr"} <= set(plugins.names("methods"))
    assert "digits" in plugins.names("datasets")
    assert not [name for _, name in EVERY if name.startswith("_")]


def test_encoders_are_named_without_being_built() -> None:
    assert {"small", "resnet18", "resnet32", "resnet50", "resnext50"} <= set(encoders.names())


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown method 'sdcrl'; known: .*mean 'sdclr'\?"):
        plugins.config("methods", "sdcrl")
    with pytest.raises(InputError, match="unknown dataset 'os'; known: "):
        plugins.module("datasets", "os")


def test_only_what_is_light_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy.py").write_text(
        '''
from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

import a_module_that_is_not_there
from a_module_that_is_not_there import nn, wraps
from raylt.schema import MethodConfig

LIMIT: int = 3
FACTOR = 2
HEAVY = nn.Linear(2, 2)
ON_IT = HEAVY.weight


def smaller(value: float, limit: int = LIMIT) -> float:
    """Of use to a validator."""
    if value >= limit * FACTOR:
        raise ValueError("must be < 6")
    return value


@wraps
def heavy(x: nn.Tensor) -> nn.Tensor:
    return nn.relu(x)


def with_heavy_default(x=nn.relu): ...


class Config(MethodConfig):
    name: Literal["toy"] = "toy"
    temperature: float = Field(0.2, gt=0)

    _smaller = field_validator("temperature")(smaller)


class Toy(nn.Module):
    weight = nn.Parameter(0)
'''
    )
    monkeypatch.setattr(raylt.methods, "__path__", [str(tmp_path)])
    before = set(sys.modules)
    config = plugins.config("methods", "toy")
    assert config(temperature=5).temperature == 5  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="must be < 6"):
        config(temperature=7)
    assert set(sys.modules) - before <= {"raylt.methods.toy:Config"}


@pytest.mark.parametrize(
    "text",
    [
        # A default that is computed.
        """
class Config(MethodConfig):
    name: Literal["heavy"] = "heavy"
    temperature: float = float(np.sqrt(0.04))
""",
        # A constant that is imported.
        """
from colorsys import ONE_THIRD as THIRD

class Config(MethodConfig):
    name: Literal["heavy"] = "heavy"
    temperature: float = THIRD * 0.6
""",
        # A function that is called later.
        """
def scaled(share):
    return np.multiply(share, 0.5)

class Config(MethodConfig):
    name: Literal["heavy"] = "heavy"
    temperature: float = 0.2

    def half(self) -> np.float64:
        return scaled(self.temperature)
""",
        # A constant that is not there in the light part.
        """
PLACE = __spec__.name

class Config(MethodConfig):
    name: Literal["heavy"] = PLACE.rpartition(".")[2]
    temperature: float = 0.2
""",
    ],
    ids=["computed", "imported", "called", "failing"],
)
def test_a_config_that_needs_more_is_imported_whole(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = """
from typing import Literal

import numpy as np

from raylt.schema import MethodConfig
"""
    (tmp_path / "heavy.py").write_text(head + text)
    monkeypatch.setattr(raylt.methods, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "raylt.methods.heavy", raising=False)
    config: Any = plugins.config("methods", "heavy")()
    assert config.temperature == pytest.approx(0.2)
    assert not hasattr(config, "half") or config.half() == pytest.approx(0.1)
    assert config.name == "heavy"


METHOD = """
from pydantic import Field

from a_library_that_takes_long import nn
from raylt.schema import DatasetConfig, MethodConfig


class Own(MethodConfig):
    {name}
    sharpness: float = Field(2.0, gt=0)
    \"\"\"How sharp.\"\"\"


class Mine(nn.Module):
    Config = Own


class Data(DatasetConfig):
    \"\"\"Whose images are drawn.\"\"\"
"""


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Path]:
    """A folder with a module of plug-ins."""
    outside.use(tmp_path)
    (tmp_path / "mine.py").write_text(METHOD.format(name=""))
    yield tmp_path
    outside.use(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["", 'name: Literal["own"] = "own"'])
def test_a_plugin_beside_the_space_is_read_without_what_takes_long(mine: Path, name: str) -> None:
    (mine / "mine.py").write_text("from typing import Literal\n" + METHOD.format(name=name))
    config: Any = plugins.config("methods", "mine:Mine")
    assert config().model_dump() == {"name": "mine:Mine", "sharpness": 2.0}
    assert config.model_fields["sharpness"].description == "How sharp."
    with pytest.raises(ValueError, match="greater than 0"):
        config(sharpness=0)
    assert plugins.config("datasets", "mine:Data")().name == "mine:Data"  # type: ignore[attr-defined]
    assert "mine" not in sys.modules


def test_what_is_wrong_with_a_plugin_is_told_in_one_line(mine: Path) -> None:
    with pytest.raises(
        InputError, match=r"method 'mine:Mine' must be importable, but .*takes_long"
    ):
        plugins.module("methods", "mine:Mine")
    (mine / "other.py").write_text("class Prototypes: ...\n")
    with pytest.raises(InputError, match=r"other.py has no Prototype; did you mean 'Prototypes'"):
        plugins.chosen("methods", "other:Prototype")
    with pytest.raises(InputError, match=r"'other:Prototypes' must have Config, but its file"):
        plugins.config("methods", "other:Prototypes")
    with pytest.raises(InputError, match="there is no lost"):
        plugins.config("methods", "lost:Mine")
    # Only the packages whose plug-ins may stand outside.
    with pytest.raises(InputError, match="unknown sampler 'mine:Mine'"):
        plugins.module("samplers", "mine:Mine")


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("x = 1\nclass Mine(:\n", 2, "SyntaxError: "),
        ("from broken import VALUE\n", 2, "NameError: name 'lost' is not defined"),
        ("import sys\n\nsys.exit('no')\n", 3, "SystemExit: no"),
    ],
    ids=["syntax", "imported", "exits"],
)
@pytest.mark.parametrize("package", ["methods", "datasets"])
def test_a_plugin_that_fails_is_told_with_its_line(
    tmp_path: Path, package: str, text: str, line: int, what: str
) -> None:
    # A folder of its own: what one that is in use imports is not asked for again.
    outside.use(tmp_path)
    (tmp_path / "broken.py").write_text("\nlost\n")
    file = tmp_path / ("broken.py" if "broken" in text else "wrong.py")
    (tmp_path / "wrong.py").write_text(text + "# class Mine: Config = Own\n")
    with pytest.raises(InputError) as caught:
        plugins.config(package, "wrong:Mine")
    outside.use(tmp_path / "nothing")
    message = f"'wrong:Mine' must be importable, but wrong is not: {file}:{line}: {what}"
    assert message in str(caught.value)


def test_a_plugin_must_be_text(tmp_path: Path) -> None:
    outside.use(tmp_path)
    (tmp_path / "latin.py").write_bytes("# für".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.py must be UTF-8"):
        plugins.config("methods", "latin:Mine")


def test_a_method_of_ones_own_need_not_have_been_published(mine: Path) -> None:
    assert published("mine:Mine").values == {}
    assert "mine" not in sys.modules


def entry_points(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    result = [EntryPoint(name, value, "raylt.methods") for name, value in points]
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda *, group: [point for point in result if point.group == group],
    )
    plugins.entries.cache_clear()
    outside.use(Path("/nothing"))


def test_an_entry_point_is_a_name_like_any_other(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_points(monkeypatch, ("mine", "mine:Mine"), ("mine", "mine:Mine"))
    outside.use(mine)
    assert "mine" in plugins.names("methods")
    assert plugins.config("methods", "mine")().name == "mine"  # type: ignore[attr-defined]
    schema = json_schema()["properties"]["recipe"]["properties"]["method"]
    assert "mine" in schema["properties"]["name"]["anyOf"][0]["enum"]
    monkeypatch.undo()
    plugins.entries.cache_clear()


@pytest.mark.parametrize("name", ["sdclr", "twice"])
def test_two_plugins_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    entry_points(monkeypatch, ("sdclr", "a:A"), ("twice", "a:A"), ("twice", "b:B"))
    with pytest.raises(InputError, match=rf"method '{name}' must be one plug-in, but is .* and "):
        plugins.config("methods", name)
    assert plugins.config("methods", "bcl")
    monkeypatch.undo()
    plugins.entries.cache_clear()
