"""The schema admits what the program admits, and no more where a schema can tell."""

import copy
import json

import jsonschema
import pytest

from raylt import encoders, plugins
from raylt.settings import Profile
from raylt.space.file import bundled, document
from raylt.space.json_schema import flowing, json_schema
from tests.space.made import RECIPE

VALID = {"study": {"name": "a"}, "recipe": RECIPE}


@pytest.fixture(scope="module")
def judge():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def changed(path, value):
    values = copy.deepcopy(VALID)
    *sections, last = path.split(".")
    inner = values
    for section in sections:
        inner = inner.setdefault(section, {})
    inner[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("study.trials", 3),
        ("study.objective", "val/few"),
        ("study.warm_start", ["earlier", "best.json"]),
        ("study.objective", ["val/few", {"metric": "val/many"}]),
        ("recipe.method.prune", {"low": 0.1, "high": 0.9, "log": "complement"}),
        ("recipe.method.prune", {"low": 0.1, "high": 0.9, "when": "epochs > 3"}),
        ("recipe.method.head_depth", {"choices": [2, 3]}),
        ("recipe.optimizer.lr", {"low": 0.1, "high": 0.9, "step": 0.1}),
        ("recipe.data.imbalance", 50),
        ("recipe.data", {"name": "own:Data", "sharpness": 2}),
        ("recipe.method", {"name": "lib.own:Mine"}),
        ("recipe.encoder", "own:Net"),
        ("recipe.encoder", "timm/test_vit"),
    ],
)
def test_what_is_right_is_admitted(judge, path, value):
    assert list(judge.iter_errors(VALID)) == []
    assert list(judge.iter_errors(changed(path, value))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("study.trials", 0),
        ("study.objective", "test/few"),
        ("study.trails", 3),
        ("study.warm_start", "earlier"),
        ("recipe.method.prune", 1.5),
        ("recipe.method.prune", {"low": 0.1}),
        ("recipe.method.prune", {"low": 0.1, "high": 0.9, "steps": 3}),
        ("recipe.method.tau", 1.0),
        ("recipe.method.name", "sdlcr"),
        ("recipe.data.name", {"choices": ["digits", "cifar10"]}),
        ("recipe.data.name", 3),
        ("recipe.encoder", "resnet19"),
        ("recipe.encoder", 18),
        ("recipe.epochs", "ten"),
    ],
)
def test_what_is_wrong_is_one_fault(judge, path, value):
    assert len(list(judge.iter_errors(changed(path, value)))) == 1


def test_every_plugin_is_in_it():
    properties = json_schema()["properties"]["recipe"]["properties"]
    for section, package in (("method", "methods"), ("data", "datasets")):
        rule, _ = properties[section]["properties"]["name"]["anyOf"]
        assert rule["enum"] == list(plugins.names(package))
    rule, *_ = properties["encoder"]["anyOf"][0]["anyOf"]
    assert rule["enum"] == list(encoders.names())


def test_every_definition_is_used_and_fields_are_explained():
    schema = json_schema()
    text = str(schema)
    assert all(f"#/$defs/{name}'" in text for name in schema["$defs"])
    assert schema["properties"]["study"]["properties"]["trials"]["description"]


@pytest.mark.parametrize(
    ("kind", "file", "schema"),
    [
        ("search_spaces", "space.schema.json", json_schema()),
        ("clusters", "profile.schema.json", flowing(Profile.model_json_schema())),
    ],
)
def test_bundled_files_name_the_schema_beside_them(kind, file, schema):
    """`raylt check --schema > search_spaces/space.schema.json` and
    `raylt check --schema profile > clusters/profile.schema.json` write them anew."""
    paths = bundled.files(kind).values()
    for path in paths:
        first = path.read_text("utf-8").splitlines()[0]
        assert first == f"{bundled.MODELINE}$schema={file}"
        beside = json.loads((path.parent / file).read_text("utf-8"))
        assert beside == json.loads(json.dumps(schema))
    judge = jsonschema.Draft202012Validator(schema)
    for path in paths:
        assert list(judge.iter_errors(document.read(path).values)) == []
