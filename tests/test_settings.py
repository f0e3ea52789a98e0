from pathlib import Path
from typing import Annotated

import click
import jsonschema
import pytest
from click.testing import CliRunner
from pydantic import Field

from raylt import settings
from raylt.cli import options
from raylt.schema import InputError
from raylt.space.file import document

CLUSTERS = Path(__file__).parents[1] / "clusters"


@pytest.mark.parametrize("name", ["laptop", "one-gpu", "eight-gpu", "multi-node"])
def test_every_profile_that_is_shipped_is_valid(name):
    result = settings.load(CLUSTERS / f"{name}.yaml")
    assert (result.address is not None) == (name == "multi-node")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trial: {workers: 0}", "trial.workers"),
        ("trial: {workers: true}", "trial.workers"),
        ("trial: {workers: 2, min_workers: 3}", "lower min_workers to 2"),
        ("trial: {workers: 2, min_workers: 0}", "min_workers"),
        ("trial: {wrokers: 2}", "did you mean 'workers'"),
        ("trial: {gpus_per_worker: 1.5}", "try 1"),
        ("trial: {gpus_per_worker: -1}", "gpus_per_worker"),
        ("trial: {gpus_per_worker: .nan}", "gpus_per_worker"),
        ("trial: {placement: STRICT}", "placement"),
        ("concurrent: 0", "concurrent"),
        ("retries: -1", "retries"),
        ("runs: runs", "absolute"),
        ("runs: s3://bucket/runs", "mount it"),
        ("runs: s4://bucket", "mount it"),
        ("tracking_uri: mlflow:5000", "http://mlflow:5000"),
        ("tracking_uri: http://me:word@mlflow:5000", "MLFLOW_TRACKING_PASSWORD"),
        ("trail: {}", "did you mean 'trial'"),
        ("concurrent: 1\nconcurrent: 2", "concurrent"),
    ],
)
def test_a_bad_profile_is_refused_with_its_place_and_a_remedy(tmp_path, text, message):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        settings.load(path)
    assert message in str(refused.value)
    assert "p.yaml:" in str(refused.value)
    # What somebody wrote by mistake is not repeated into logs.
    assert "word@" not in str(refused.value)


def test_a_missing_profile_is_the_users_input(tmp_path):
    with pytest.raises(InputError):
        settings.load(tmp_path / "none.yaml")


def test_every_setting_has_help_and_its_names_agree():
    options = []
    for name, field in settings.Settings.model_fields.items():
        assert (field.description or "").endswith("."), name
        options.append(settings.option_of(field))
    for names in ("variable", "short"):
        given = [getattr(option, names) for option in options if option]
        given = [name for name in given if name]
        assert given
        assert len(given) == len({*given})


def test_the_schema_of_profiles_admits_those_that_are_shipped_and_no_mistakes():
    schema = settings.Profile.model_json_schema()
    judge = jsonschema.Draft202012Validator(schema)
    for path in CLUSTERS.glob("*.yaml"):
        if path.stem != "skypilot":
            assert list(judge.iter_errors(document.read(path).values)) == [], path.name
    assert len(list(judge.iter_errors({"trial": {"wrokers": 2}, "concurrent": 0}))) == 2
    assert schema["properties"]["storage"]["description"].startswith("PostgreSQL URL")


def test_what_is_given_goes_before_the_profile_and_the_profile_before_the_defaults(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("trial: {workers: 4, min_workers: 2}\nruns: /r\nconcurrent: 3\n")
    profile = settings.load(path)
    merged = settings.merged({"runs": Path("here")}, profile)
    assert (merged.runs, merged.workers, merged.min_workers) == (Path("here"), 4, 2)
    assert (merged.concurrent, merged.data, merged.retries) == (3, Path("data"), 2)
    # A number of workers that is given is meant as it stands.
    assert settings.merged({"workers": 3}, profile).min_workers is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"workers": 0}, "--workers: must be >= 1, but got 0"),
        ({"concurrent": "2"}, "--concurrent: must be a whole number"),
        ({"workers": 2, "pack": 2}, "--pack: must be left out"),
        ({"wrokers": 2}, "did you mean 'workers'"),
        ({"checkpoints": "/shared"}, "--checkpoints: must be s3://BUCKET/PREFIX"),
    ],
)
def test_a_bad_setting_is_refused_by_its_flag(given, message):
    with pytest.raises(InputError) as refused:
        settings.merged(given)
    assert message in str(refused.value)


class More(settings.Settings):
    """Settings with one more, which is declared nowhere else."""

    patience: Annotated[
        int | None, Field(ge=1), settings.Option("N", variable="RAYLT_PATIENCE")
    ] = None
    """Epochs without a better score."""


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        ([], {}, None),
        (["--patience", "3"], {"RAYLT_PATIENCE": "4"}, 3),
        ([], {"RAYLT_PATIENCE": "4"}, 4),
    ],
)
def test_a_setting_is_added_in_one_place(words, environment, expected):
    seen = []

    @click.command(cls=options.Verb, model=More)
    def verb(settings):
        seen.append(settings)

    run = CliRunner(env=environment)
    assert run.invoke(verb, words).exit_code == 0
    assert [item.patience for item in seen] == [expected]
    shown = run.invoke(verb, ["--help"]).output
    assert "--patience N" in shown
    assert "Epochs without a better score" in shown
    assert "RAYLT_PATIENCE" in shown
    assert run.invoke(verb, ["--patience", "0"]).exit_code == 2
