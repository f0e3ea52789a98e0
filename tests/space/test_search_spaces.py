"""Every file of search_spaces is valid, and its baseline is the setting that was published."""

from pathlib import Path

import pytest

from raylt import recipe, space
from raylt.space.metric_names import METRICS

FOLDER = Path(__file__).parents[2] / "search_spaces"
FILES = sorted(FOLDER.glob("*.yaml"))

_SDCLR = {
    "encoder": "resnet18",
    "epochs": 2000,
    "optimizer.batch_size": 512,
    "optimizer.lr": 0.5,
    "optimizer.weight_decay": 1e-4,
    "optimizer.momentum": 0.9,
    "optimizer.decay_norms": True,
    "schedule.name": "cosine",
    "schedule.warmup": 10,
    "schedule.floor": 1e-6,
    "schedule.early": True,
    "augment.crop": 0.1,
    "augment.resample": "bicubic",
    "augment.blur": 0.0,
    "method.temperature": 0.2,
    "method.prune": 0.9,
    "method.own_norms": True,
    "method.random_share": 0.0,
    "method.refresh": 1,
    "method.out_dim": 128,
    "method.temperature_schedule": "constant",
    "data.normalise": "imagenet",
    "data.imbalance": 100,
    "data.split": 1,
    "evaluation.labels": "balanced",
    "evaluation.probe": "sgd",
}
_BCL = {
    "encoder": "resnet32",
    "epochs": 200,
    "optimizer.batch_size": 256,
    "optimizer.lr": 0.15,
    "optimizer.weight_decay": 5e-4,
    "schedule.name": "step",
    "schedule.warmup": 5,
    "schedule.milestones": [160, 180],
    "schedule.gamma": 0.1,
    "method.temperature": 0.1,
    "method.complement_weight": 1.0,
    "method.complement_power": 0.0,
    "method.contrastive_weight": 0.6,
    "method.classification_weight": 2.0,
    "method.tau": 1.0,
    "method.hidden_dim": 512,
    "method.out_dim": 128,
    "method.classifier": "linear",
    "method.classification_view": "policy",
    "method.views": "sim-sim",
    "data.imbalance": 100,
    "augment.resample": "bilinear",
}
_BCL_IMAGENET = {
    "size": 224,
    "epochs": 90,
    "optimizer.batch_size": 256,
    "optimizer.lr": 0.1,
    "optimizer.weight_decay": 5e-4,
    "schedule.name": "cosine",
    "schedule.warmup": 0,
    "method.temperature": 0.07,
    "method.contrastive_weight": 0.35,
    "method.classification_weight": 1.0,
    "method.classifier": "cosine",
    "method.cosine_scale": 30.0,
    "method.hidden_dim": 2048,
    "method.out_dim": 1024,
    "method.classification_view": "class",
    "method.views": "sim-sim",
    "method.complement_weight": 1.0,
    "method.complement_power": 0.0,
    "augment.crop": 0.08,
    "augment.resample": "bilinear",
    "augment.blur": 0.0,
}
# Copied once from the papers' programs and, where these are silent, from their re-runs.
PUBLISHED = {
    "sdclr-cifar10-lt": _SDCLR | {"data.name": "cifar10"},
    "sdclr-cifar100-lt": _SDCLR | {"data.name": "cifar100"},
    "sdclr-imagenet100-lt": {
        "encoder": "resnet50",
        "size": 224,
        "epochs": 500,
        "optimizer.batch_size": 256,
        "optimizer.lr": 0.5,
        "optimizer.weight_decay": 1e-4,
        "schedule.warmup": 10,
        "method.temperature": 0.3,
        "method.prune": 0.3,
        "augment.crop": 0.08,
        "augment.blur": 0.5,
        "evaluation.probe": "sgd",
    },
    "bcl-cifar10-lt": _BCL | {"data.name": "cifar10"},
    "bcl-cifar100-lt": _BCL | {"data.name": "cifar100"},
    "bcl-imagenet-lt-r50": _BCL_IMAGENET | {"encoder": "resnet50"},
    "bcl-imagenet-lt-x50": _BCL_IMAGENET | {"encoder": "resnext50"},
    "bcl-inaturalist2018": _BCL_IMAGENET
    | {
        "encoder": "resnet50",
        "epochs": 100,
        "optimizer.lr": 0.2,
        "optimizer.weight_decay": 1e-4,
    },
    "proco-cifar100-lt": {
        "method.name": "proco",
        "encoder": "resnet32",
        "epochs": 200,
        "optimizer.lr": 0.3,
        "optimizer.batch_size": 256,
        "optimizer.weight_decay": 2e-4,
        "optimizer.drop_last": True,
        "schedule.milestones": [160, 180],
        "schedule.warmup": 5,
        "method.temperature": 0.1,
    },
    "kcl-cifar100-lt": {
        "method.name": "kcl",
        "method.positives": 6,
        "method.queue": 0,
        "method.temperature": 0.07,
        "encoder": "resnet32",
        "epochs": 1000,
        "optimizer.lr": 0.5,
        "optimizer.batch_size": 1024,
        "optimizer.weight_decay": 1e-4,
        "schedule.name": "cosine",
        "augment.crop": 0.2,
        "evaluation.labels": "tail",
        "evaluation.probe": "ldam",
    },
    "paco-cifar100-lt": {
        "method.name": "paco",
        "method.temperature": 0.05,
        "method.alpha": 0.01,
        "method.beta": 1.0,
        "method.gamma": 1.0,
        "method.queue": 1024,
        "method.momentum": 0.999,
        "method.out_dim": 32,
        "method.query_view": "policy",
        "encoder": "resnet32",
        "epochs": 400,
        "optimizer.lr": 0.05,
        "optimizer.batch_size": 128,
        "optimizer.weight_decay": 5e-4,
        "schedule.warmup": 10,
        "augment.crop": 0.2,
        "augment.blur": 0.5,
    },
    "decoupled-imagenet-lt-x50": {
        "method.name": "decoupled",
        "method.classifier": "crt",
        "method.crt_epochs": 10,
        "method.crt_lr": 0.2,
        "encoder": "resnext50",
        "epochs": 90,
        "optimizer.lr": 0.2,
        "optimizer.batch_size": 512,
        "optimizer.weight_decay": 5e-4,
        "schedule.name": "cosine",
    },
    "decoupled-cifar100-lt": {
        "method.name": "decoupled",
        "method.classifier": "crt",
        "method.crt_epochs": 10,
        "method.crt_lr": 0.2,
        "method.view": "weak",
        "encoder": "resnet32_fan_in",
        "epochs": 200,
        "optimizer.lr": 0.1,
        "optimizer.batch_size": 128,
        "optimizer.weight_decay": 2e-4,
        "schedule.per": "epoch",
        "schedule.milestones": [160, 180],
        "schedule.gamma": 0.01,
        "schedule.warmup": 5,
    },
    "tsc-cifar100-lt": {
        "method.name": "tsc",
        "method.temperature": 0.07,
        "method.positives": 6,
        "method.target_weight": 0.2,
        "method.warmup": 500,
        "encoder": "resnet32",
        "epochs": 1000,
        "optimizer.lr": 0.5,
        "optimizer.batch_size": 1024,
        "optimizer.weight_decay": 1e-4,
        "evaluation.labels": "tail",
        "evaluation.probe": "ldam",
    },
    "simclr-ts-cifar100-lt": {
        "method.name": "simclr",
        "epochs": 2000,
        "method.temperature": 1.0,
        "method.temperature_min": 0.1,
        "method.temperature_period": 400,
        "method.temperature_schedule": "cosine",
        "optimizer.lr": 0.5,
    },
}


DIGITS = ("sdclr", "bcl", "kcl", "tsc", "paco", "decoupled")
"""On the bundled digits, one for each method."""
# What the authors' programs do and the papers do not say: (as it is, under the preset).
OFFICIAL = {
    "sdclr-cifar10-lt": {
        "method.head_depth": (2, 3),
        "evaluation.probe": ("sgd", "reforward"),
        "evaluation.early_falls": (False, True),
        "evaluation.selection": ("top-1", "top-1"),
    },
    "sdclr-imagenet100-lt": {
        "method.head_depth": (2, 3),
        "evaluation.probe": ("sgd", "reforward"),
        "evaluation.early_falls": (False, False),
        "evaluation.selection": ("top-1", "top-5"),
    },
}
for name in ("bcl-imagenet-lt-r50", "bcl-imagenet-lt-x50", "bcl-inaturalist2018"):
    OFFICIAL[name] = {"method.norm_shares": (1, 4), "schedule.per": ("step", "epoch")}
_RERUN = {"encoder": ("resnet32", "resnet32_fan_in"), "schedule.per": ("step", "epoch")}
OFFICIAL["proco-cifar100-lt"] = _RERUN
OFFICIAL["sdclr-cifar100-lt"] = OFFICIAL["sdclr-cifar10-lt"] | {"data.balanced": (None, 400)}


def values(result, path=""):
    for key, value in result.items():
        if isinstance(value, dict):
            yield from values(value, f"{path}{key}.")
        else:
            yield path + key, value


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_file_is_a_valid_space_without_warnings(file):
    loaded = space.load(file)
    assert loaded.warnings == ()
    assert loaded.leaves
    assert loaded.study.baseline is not None
    assert loaded.study.baseline.source
    assert loaded.study.name in (file.stem, f"{file.stem}-digits")


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_it_tells_how_it_is_used(file):
    head = file.read_text("utf-8").split("study:")[0]
    assert f"raylt check search_spaces/{file.name}" in head
    assert f"raylt tune --space search_spaces/{file.name}" in head


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_baseline_is_the_published_setting(name):
    loaded = space.load(FOLDER / f"{name}.yaml")
    assert loaded.baseline_point is not None
    baseline = dict(values(loaded.at(loaded.baseline_point).model_dump(mode="json")))
    expected = PUBLISHED[name]
    assert {path: baseline[path] for path in expected} == expected


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_official_preset_is_the_program_and_the_file_is_sound(name):
    for place, overrides in enumerate(([], ["study.preset=official"])):
        loaded = space.load(FOLDER / f"{name}.yaml", overrides)
        assert loaded.baseline_point is not None
        baseline = dict(values(loaded.at(loaded.baseline_point).model_dump(mode="json")))
        expected = {path: pair[place] for path, pair in OFFICIAL[name].items()}
        assert {path: baseline[path] for path in expected} == expected


@pytest.mark.parametrize(
    ("name", "spread"),
    [
        ("sdclr-cifar10-lt", "(thirds/std) 5.1"),
        ("sdclr-cifar100-lt", "(thirds/std) 2.9"),
        ("sdclr-imagenet100-lt", "(shots/std) 3.75"),
    ],
)
def test_the_spread_of_a_paper_has_the_name_of_its_metric(name, spread):
    head = (FOLDER / f"{name}.yaml").read_text("utf-8").split("study:")[0]
    assert spread in head
    assert f"val/{spread[1:].split(')')[0]}" in METRICS


@pytest.mark.parametrize("name", ["bcl-cifar10-lt", "bcl-cifar100-lt"])
def test_the_preset_of_the_reruns_is_what_they_have_in_common(name):
    for place, overrides in enumerate(([], ["study.preset=rerun"])):
        loaded = space.load(FOLDER / f"{name}.yaml", overrides)
        assert loaded.baseline_point is not None
        baseline = dict(values(loaded.at(loaded.baseline_point).model_dump(mode="json")))
        assert {path: baseline[path] for path in _RERUN} == {
            path: pair[place] for path, pair in _RERUN.items()
        }


def test_every_published_setting_stands_here():
    assert {file.stem for file in FILES} == {*PUBLISHED, *DIGITS}


@pytest.mark.parametrize("name", DIGITS)
def test_the_digits_are_the_same_for_every_method(name):
    """So that one table can hold all of them."""
    loaded, other = (space.load(FOLDER / f"{stem}.yaml") for stem in (name, "sdclr"))
    for key in ("data", "encoder", "size", "augment"):
        assert loaded.fixed[key] == other.fixed[key]
    assert loaded.known["evaluation.labels"] == "tail"


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_validation_is_a_tenth_of_each_class(name):
    for file in FILES:
        loaded = space.load(file)
        if loaded.fixed["data"]["name"] == name:
            pool = 50_000 // (10 if name == "cifar10" else 100)
            assert recipe.dataset(loaded.fixed).validation * 10 == pool


def test_without_validation_it_is_the_whole_published_tail():
    loaded = space.load(FOLDER / "bcl-cifar100-lt.yaml")
    whole = recipe.filled(loaded.fixed, {"data.validation": 0})
    counts = recipe.dataset(whole).train_counts()
    assert counts is not None
    assert (counts[0], counts[-1], sum(counts)) == (500, 5, 10_847)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("sdclr-cifar100-lt", ["study.preset=official", "evaluation.labels=few-shot"]),
        ("sdclr-imagenet100-lt", ["study.preset=official"]),
        ("sdclr-cifar10-lt", ["data.split=2"]),
        (
            "sdclr-cifar10-lt",
            ["data.indices=split1_D_i.npy", "data.few_shot_indices=split1_S_b.npy"],
        ),
        (
            "sdclr-cifar100-lt",
            [
                "data.validation_indices=cifar100_valIdxList.npy",
                "data.balanced_indices=cifar100_trainIdxList.npy",
            ],
        ),
        ("bcl-cifar10-lt", ["data.imbalance=50"]),
    ],
)
def test_the_overrides_in_the_comments_are_valid(name, overrides):
    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    assert all(override in text for override in overrides)
    assert space.load(FOLDER / f"{name}.yaml", overrides)
