"""How the package is built: what may import what, one file for one plug-in, short files, and
tests that mirror them."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from raylt import plugins
from raylt.methods._base import Method
from raylt.schema import DatasetConfig, MethodConfig

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "raylt"
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
MODULES = {
    f"raylt.{name[:-3].replace('/', '.')}".removesuffix(".__init__"): path
    for name, path in FILES.items()
}
LINES = 400
MODULES_OF_A_FOLDER = 15

FENCES = {
    # What is behind a fence can be swapped, and everything else runs and is tested without it.
    "ray": ("cluster/", "schedulers/", "study/"),
    "optuna": ("samplers/", "study/"),
    "mlflow": ("study/confirm/mirror.py", "study/tracking/", "study/workers/system_metrics.py"),
    "sqlalchemy": ("study/record/", "uris.py"),
    "plotly": ("study/report/",),
    "matplotlib": ("study/report/charts/png.py",),
    "pandas": ("study/notebook.py",),
    "scipy": ("methods/tsc.py", "study/verdict/significance.py"),
    "safetensors": (
        "study/export.py",
        "trial/checkpoints/checkpoint_file.py",
        "encoders/_weights.py",
    ),
    "timm": ("encoders/_timm.py",),
    "torchvision": ("encoders/",),
    "PIL": ("data/",),
    "ruamel": ("space/file/", "study/record/text.py"),
    "click": ("cli/",),
    "rich": ("cli/", "escape.py", "study/"),
    "torch": (
        "testing/",
        "collectives.py",
        "contrast.py",
        "data/",
        "encoders/",
        "methods/",
        "nn/",
        "optim.py",
        "study/",
        "trial/",
    ),
}

TESTS = ROOT / "tests"
WHOLE = {
    # Tests of what several modules do together, or of no module at all.
    "benchmarks/test_results.py",
    "cluster/test_apart.py",
    "cluster/test_drills.py",
    "cluster/test_growth.py",
    "cluster/test_launchers.py",
    "cluster/test_mlflow_server.py",
    "cluster/test_security.py",
    "datasets/test_every_dataset.py",
    "docs/test_notebooks.py",
    "docs/test_pages.py",
    "docs/test_pictures.py",
    "docs/test_reference.py",
    "methods/test_every_method.py",
    "samplers/test_every_sampler.py",
    "schedulers/test_every_scheduler.py",
    "space/test_search_spaces.py",
    "study/ablate/test_killed.py",
    "study/confirm/test_confirm_pool.py",
    "study/cost/test_cost_metrics.py",
    "study/report/test_browser.py",
    "study/report/test_browser_ablation.py",
    "study/run/test_blows.py",
    "study/run/test_crash.py",
    "study/run/test_secrets.py",
    "study/search/test_every_sampler.py",
    "test_architecture.py",
    "test_bad_inputs.py",
    "test_contributing.py",
    "test_fuzz.py",
    "test_public_names.py",
    "test_released.py",
    "test_wheel.py",
    "trial/test_imports.py",
    "trial/test_rehearsal.py",
    "trial/test_workers.py",
}
PLUGINS = {"datasets", "encoders", "methods", "samplers", "schedulers"}
ELSEWHERE = {
    # Modules whose tests stand in another file, since they are tried together with its module.
    "_version.py": "cli/test_cli.py",
    "cli/verbs/ablate.py": "study/ablate/test_ablate.py",
    "cli/verbs/best.py": "study/report/test_best.py",
    "cli/verbs/check.py": "cli/test_cli.py",
    "cli/verbs/confirm.py": "study/confirm/test_confirm.py",
    "cli/verbs/doctor.py": "cli/test_target.py",
    "cli/verbs/help.py": "cli/test_cli.py",
    "cli/verbs/init.py": "study/start/test_start.py",
    "cli/verbs/report.py": "study/report/test_page.py",
    "cli/verbs/space.py": "cli/test_catalogue.py",
    "cli/verbs/status.py": "study/report/test_status.py",
    "cli/verbs/table.py": "study/table/test_formats.py",
    "cli/verbs/tune.py": "cli/test_cli.py",
    "cli/verbs/ui.py": "cli/test_cli.py",
    "cluster/facts.py": "cluster/test_connect.py",
    "cluster/ray_compat.py": "cluster/test_connect.py",
    "data/own.py": "datasets/test_folder.py",
    "study/start/file.py": "study/start/test_start.py",
    "study/tracking/mlflow_runs.py": "study/tracking/test_tracker.py",
    "study/tracking/registry.py": "study/test_export.py",
    "trial/checkpoints/checkpoint_file.py": "trial/checkpoints/test_checkpoint.py",
    "trial/portable.py": "study/test_export.py",
}


@functools.cache
def _modules_imported(name: str) -> set[str]:
    """The modules of raylt that a module imports, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {item if item in MODULES else node.module for item in inner}
    return {item for item in names if item in MODULES and item != name}


def _circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules that are left once all are taken away that import nobody, or nobody imports."""
    left = graph
    while True:
        imported_by_some = set().union(*left.values())
        ends = {name for name in left if not left[name] or name not in imported_by_some}
        if not ends:
            return sorted(left)
        left = {name: into - ends for name, into in left.items() if name not in ends}


def test_a_circle_of_imports_is_seen() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set[str]()}
    assert _circle(graph) == ["b", "c"]


@functools.cache
def imported(path: Path) -> set[str]:
    """The packages that a file imports anywhere, standard library and raylt left out."""
    collected: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            collected |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            collected.add(node.module)
    tops = {name.split(".")[0] for name in collected}
    return tops - sys.stdlib_module_names - {"raylt"}


def test_imports_point_one_way_and_every_module_has_its_layer() -> None:
    # In a process of its own: it sets up logging anew, which would silence every logger here.
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_no_modules_import_each_other_in_a_circle() -> None:
    # The layers' contract does not look inside a layer; here imports inside functions and under
    # TYPE_CHECKING count too, for a reader follows them like any other.
    assert _circle({name: _modules_imported(name) for name in MODULES}) == []


def test_a_folder_can_be_seen_at_a_glance() -> None:
    folders = {path.parent for path in FILES.values()}
    modules = {
        folder.relative_to(PACKAGE).as_posix(): len(
            [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        )
        for folder in folders
    }
    assert {name: n for name, n in modules.items() if n > MODULES_OF_A_FOLDER} == {}


@pytest.mark.parametrize("package", FENCES)
def test_a_third_party_stays_behind_its_fence(package: str) -> None:
    users = {name for name, path in FILES.items() if package in imported(path)}
    assert users, f"nobody imports {package}: take its fence away"
    assert not {name for name in users if not name.startswith(FENCES[package])}


def test_private_names_of_ray_stand_in_one_file() -> None:
    users = {name for name, path in FILES.items() if private_ray(path)}
    assert users == {"cluster/ray_compat.py"}


def private_ray(path: Path) -> set[str]:
    """Imports of private names of Ray, private arguments, and attributes replaced in its classes
    or modules."""
    ray: set[str] = set()
    collected: set[str] = set()
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for alias, name in zip(node.names, names, strict=True):
            if name.split(".")[0] == "ray":
                ray.add((alias.asname or alias.name).split(".")[0])
                collected |= {name} if "._" in name or ".generated" in name else set()
    for node in nodes:
        if isinstance(node, ast.Call) and _root(node.func) in ray:
            collected |= {word.arg for word in node.keywords if word.arg and word.arg[0] == "_"}
        if isinstance(node, ast.Attribute) and _root(node) in ray:
            stored = isinstance(node.ctx, ast.Store)
            collected |= {node.attr} if stored or node.attr.startswith("_") else set()
    return collected


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def test_a_file_can_be_read_in_one_sitting() -> None:
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in FILES.items()}
    assert {name: n for name, n in lines.items() if n > LINES} == {}


@pytest.mark.parametrize("name", plugins.names("methods"))
def test_a_method_is_one_file_with_one_method(name: str) -> None:
    module = plugins.module("methods", name)
    own = [item for item in vars(module).values() if _defined(item, module.__name__)]
    assert len([item for item in own if issubclass(item, Method)]) == 1
    assert [item for item in own if issubclass(item, MethodConfig)] == [module.Config]


@pytest.mark.parametrize("name", plugins.names("datasets"))
def test_a_dataset_is_one_file_with_one_load(name: str) -> None:
    module = plugins.module("datasets", name)
    own = [item for item in vars(module).values() if _defined(item, module.__name__)]
    assert [item for item in own if issubclass(item, DatasetConfig)] == [module.Config]
    assert module.load.__module__ == module.__name__
    assert {"CHANNELS", "SIZE", "CLASSES"} <= set(vars(module))


@pytest.mark.parametrize("name", plugins.names("encoders"))
def test_a_family_of_encoders_is_one_file_with_one_build(name: str) -> None:
    module = plugins.module("encoders", name)
    assert module.build.__module__ == module.__name__
    assert plugins.declared("encoders", name, "NAMES") == module.NAMES


def _defined(result: object, module: str) -> bool:
    return isinstance(result, type) and result.__module__ == module


@pytest.mark.parametrize(
    ("package", "name"),
    [
        (package, name)
        for package in ("methods", "datasets", "samplers", "schedulers")
        for name in plugins.names(package)
    ],
)
def test_every_knob_is_described_whoever_was_imported_first(
    package: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pydantic finds the words under a field by the file, which both classes share.
    whole = plugins.module(package, name).Config
    # In a folder more, the file is read anew.
    folder = importlib.import_module(f"raylt.{package}")
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    light = plugins.config(package, name)
    assert light is not whole
    for config in (whole, light):
        fields = config.model_json_schema()["properties"]
        assert {key for key, field in fields.items() if not field.get("description")} == set()


def _tested(name: str) -> set[Path]:
    """The modules that a file of tests may be about."""
    folder, stem = (TESTS / name).parent.relative_to(TESTS), Path(name).stem.removeprefix("test_")
    package = (ROOT if name.startswith("benchmarks/") else PACKAGE) / folder
    modules = {package / f"{stem}.py", package / f"_{stem}.py"}
    # What a package says in its __init__ is tested in a file of the package's name.
    return modules | ({package / "__init__.py"} if package.name == stem else set())


def test_a_file_of_tests_has_its_module() -> None:
    names = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    lost = {name for name in names if not any(path.exists() for path in _tested(name))}
    assert lost == WHOLE


def test_every_module_has_its_file_of_tests() -> None:
    """A plug-in may have its folder's tests, which try every file of it; ELSEWHERE is the rest."""
    untested: set[str] = set()
    for name, path in FILES.items():
        folder = TESTS / Path(name).parent
        own = folder / f"test_{path.stem.removeprefix('_')}.py"
        suites = folder.glob("test_every_*.py") if Path(name).parts[0] in PLUGINS else ()
        if not path.name.startswith("__") and not own.exists() and not any(suites):
            untested.add(name)
    assert untested == set(ELSEWHERE)
    assert [tests for tests in ELSEWHERE.values() if not (TESTS / tests).is_file()] == []


def test_every_folder_of_modules_has_its_folder_of_tests() -> None:
    folders = {path.parent.relative_to(PACKAGE) for path in FILES.values()}
    assert {
        path.as_posix() for path in folders if not any((TESTS / path).glob("test_*.py"))
    } == set()


def test_no_file_of_tests_imports_from_another() -> None:
    pattern = re.compile(r"^\s*(?:from|import) +(tests\b.*\btest_\w+.*)$", re.MULTILINE)
    lines = {path: pattern.findall(path.read_text("utf-8")) for path in TESTS.rglob("*.py")}
    assert {
        path.relative_to(TESTS): computed for path, computed in lines.items() if computed
    } == {}


def test_one_place_prints_what_is_meant_for_the_terminal() -> None:
    """It escapes what others have written."""
    users = {
        name for name, path in FILES.items() if re.search(r"click\.s?echo\(", path.read_text())
    }
    assert users == {"cli/output.py"}
