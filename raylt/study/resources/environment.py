"""What Ray, torch and MLflow read from the environment when they are imported."""

from __future__ import annotations

import logging
import os
import re
import secrets
import sys

_RAY = {
    # `uv run` would make Ray copy the folder and build the environment anew in each worker.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A thread that asks Ray something while the search ends must not make Ray start anew.
    "RAY_ENABLE_AUTO_CONNECT": "0",
    # The table is ours; the old output is the one that can be silenced.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # The driver handles signals itself, so that it knows that it was interrupted.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # A trial that failed reports why instead of a metric.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # The study of record has everything that Tune's snapshots would hold.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    # A stopped trial leaves its reused process after the step that it is in, however long.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "600",
    "TUNE_WARN_THRESHOLD_S": "60",
    # A group is asked for only when there is room for it; where another trial was faster, the
    # trial looks again for what is free.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "30",
    # What the raylet tells the driver goes to standard output, where only results belong; the
    # searcher names the reason of a dead worker.
    "RAY_DEDUP_LOGS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}


DROPPED = ("TUNE_RESULT_DIR", "RAY_AIR_LOCAL_CACHE_DIR", "RAY_TUNE_CALLBACKS")
"""Variables that Ray Tune refuses at its start, or that would run code in the search."""
_TEXTS = ("TUNE_ORIG_WORKING_DIR", "TUNE_PLACEMENT_GROUP_PREFIX", "TUNE_RESULT_DELIM")
_NUMBERS = ("RAY_CHDIR_TO_TRIAL_DIR", "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE")
"""Variables of Ray Tune 2.60 that may be any text, and others that must be numbers as Tune's own
are; it ends where they are not."""

_log = logging.getLogger("raylt")


def prepare_ray(*, threads: int, alone: bool) -> None:
    """Set what Ray and torch read at import; call it before either is imported.

    What the user has set stays, but for what Ray Tune would refuse, which is named in a warning.

    Args:
        alone: Whether Ray is started for this search, and not a cluster's that has its token.
    """
    _drop_refused()
    for name, value in _RAY.items():
        os.environ.setdefault(name, value)
    # One token for this run alone: nothing is written to, or needed from, the home folder. Ray
    # looks for it when it is imported; where that has happened, it makes a token of its own.
    if alone and "ray" not in sys.modules and "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    _spare_loopback()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def _spare_loopback() -> None:
    """Reach this machine without a proxy, where the environment names one for the world."""
    if any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ):
        for name in ("no_proxy", "NO_PROXY"):
            spared = [part for part in os.environ.get(name, "").split(",") if part]
            os.environ[name] = ",".join(dict.fromkeys([*spared, "127.0.0.1", "localhost", "::1"]))


def _drop_refused() -> None:
    for name in DROPPED:
        if os.environ.pop(name, None):
            _log.warning("warning: %s is set, but a search of raylt does not use it", name)
    for name, value in [*os.environ.items()]:
        is_number = name in _NUMBERS or (name.startswith("TUNE_") and name not in _TEXTS)
        if is_number and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
            del os.environ[name]
            _log.warning("warning: %s must be a number, but is %r; it is not used", name, value)


def prepare_mlflow() -> None:
    """Set what MLflow reads at import; what the user has set stays."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Only results belong on standard output.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        # With MLflow's own settings one call to a dead server blocks for four minutes.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
    }.items():
        os.environ.setdefault(name, value)
