"""Settings for all tests."""

import os
import signal

import hypothesis
import pytest

# Before torch is imported, here and in every process that a test starts: small tensors are slower
# on several threads, and several times slower when something else runs on the machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Some tests import Ray before raylt can say so: under `uv run` Ray would copy the folder and build
# the environment anew for each worker.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")

# What the developer's shell says must not decide where a test looks, and what is printed.
for name in ("MLFLOW_TRACKING_URI", "RAYLT_DATA", "RAYLT_RUNS", "UV_RUN_RECURSION_DEPTH"):
    os.environ.pop(name, None)

# A shell that starts the tests in the background lets them, and every program that they start,
# ignore Ctrl-C, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The first example may wait for an import or a busy core; pytest's own timeout ends what hangs.
hypothesis.settings.register_profile("raylt", deadline=None)
hypothesis.settings.load_profile("raylt")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Run the default tests in two processes, each file in one of them.

    A drill wants the machine for itself, and of the tests that somebody names there are few.
    """
    # The two come through here as well, and must not have two of their own each.
    if hasattr(config, "workerinput"):
        return
    options = config.option
    named = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    asked = getattr(options, "numprocesses", 0) is not None
    if not (named or asked or options.usepdb) and "not slow" in options.markexpr:
        options.numprocesses, options.dist = 2, "loadfile"


def pytest_collection_modifyitems(items):
    """Files whose tests start Ray come first: so neither of two processes has a long one to run
    while the other has nothing left."""
    dear = {item.path for item in items if item.get_closest_marker("ray")}
    items.sort(key=lambda item: item.path not in dear)


@pytest.fixture(scope="module")
def s3_port(tmp_path_factory):
    """The port of a server of S3 on loopback, which the environment of its tests names."""
    from tests.study import s3

    with (
        pytest.MonkeyPatch.context() as patch,
        s3.running(tmp_path_factory.mktemp("s3"), patch) as server,
    ):
        yield server
