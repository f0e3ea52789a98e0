from __future__ import annotations

import ast
from pathlib import Path

import raylt
from raylt.reference import environment

PACKAGE = Path(raylt.__file__).parent
OWN = {
    # Set by raylt for the libraries that it starts.
    "RAY_API_SERVER_ADDRESS",
    "KINETO_LOG_LEVEL",
}


def read(path: Path) -> set[str]:
    """The variables that a file names where it uses `os.environ`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case (
                ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Constant(str(name)))
                | ast.Call(
                    func=ast.Attribute(value=ast.Attribute(attr="environ")),
                    args=[ast.Constant(str(name)), *_],
                )
                | ast.keyword(arg="envvar", value=ast.Constant(str(name)))
            ):
                names.add(name)
            case ast.Assign([ast.Name("VARIABLE")], ast.Constant(str(name))):
                names.add(name)
            case ast.Assign([ast.Name("VARIABLES")], ast.Tuple(parts)):
                names |= {str(part.value) for part in parts if isinstance(part, ast.Constant)}
            case _:
                pass
    return names


def test_every_variable_that_is_read_is_listed() -> None:
    names = set().union(*(read(path) for path in PACKAGE.rglob("*.py")))
    assert {"RAY_AUTH_TOKEN", "RAYLT_CLUSTER", "TMPDIR", "_RAYLT_COMPLETE"} <= names
    assert names - OWN - set(environment.variables()) == set()


def test_the_variables_of_options_have_their_meaning() -> None:
    assert environment.variables()["RAYLT_RUNS"].startswith("In place of `--runs`. Folder of")
