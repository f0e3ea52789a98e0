"""The toy study, also in a process of its own: `python -m tests.study.drive VERB FOLDER ...`."""

import json
import sys
from pathlib import Path

from raylt import space
from raylt.schema import RayltError
from raylt.settings import Settings
from raylt.study.record import storage
from raylt.study.run import driver
from raylt.study.run.plan import Plan
from raylt.study.search import sampler

SPACE = """
study:
  name: toy
  trials: 6
  sampler: {name: tpe, seed: 7, startup: 4}
  scheduler: {name: asha, grace: 1, factor: 3}
  baseline:
    source: "a paper"
    values: {method.temperature: 0.2, method.prune: 0.9}
recipe:
  data: {name: digits}
  method:
    name: sdclr
    temperature: {low: 0.05, high: 1.0, log: true}
    prune: {low: 0.1, high: 0.99}
  encoder: small
  size: 16
  optimizer: {lr: 0.1, batch_size: 128}
  epochs: 6
"""

FINGERPRINT = "982685ef3dde2a1d"
"""Of the images that the space asks for."""


def toy(folder: Path, *overrides: str) -> space.Space:
    path = folder / "space.yaml"
    path.write_text(SPACE)
    return space.load(path, overrides)


def settings(folder: Path, **changes) -> Settings:
    """The runs and the fake's behaviour of a test's folder."""
    root = folder / "data"
    root.mkdir(exist_ok=True)
    fixed = {"work": "tests.study.fake:work", "cpus": 2, "quiet": True}
    return Settings(**{"runs": folder / "runs", "data": root, **fixed, **changes})


def search(opened: space.Space, options: Settings, *, floor=dict):
    """Run a search without a look at its data."""
    url = storage.chosen(options.runs / opened.study.name, options.storage)
    queue = sampler.grid(opened) if opened.study.sampler.name == "grid" else ()
    facts = {"fingerprint": FINGERPRINT, "validation": 0, "data": {}, "encoders": []}
    planned = {"space": opened, "settings": options, "url": url, "queue": queue, "floor": floor}
    return driver.run(Plan(**planned, facts=facts))


def behave(folder: Path, **behaviour) -> None:
    root = folder / "data"
    root.mkdir(exist_ok=True)
    (root / "behaviour.json").write_text(json.dumps(behaviour))


def main(verb: str, folder: Path, *overrides: str) -> int:
    options = settings(folder, quiet=False)
    try:
        return drive(verb, folder, options, *overrides)
    except RayltError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def drive(verb: str, folder: Path, options: Settings, *overrides: str) -> int:
    if verb == "search":
        result = search(toy(folder, *overrides), options)
    else:
        result = driver.resume("toy", options, retry_failed=False)
    print(
        json.dumps(
            {
                "interrupted": result.interrupted,
                "states": [o.state for o in result.ranking],
                "notices": result.notices,
            }
        )
    )
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
