"""Every environment variable that raylt reads, and what it does."""

from __future__ import annotations

from raylt import settings

OTHERS = {
    "RAYLT_CLUSTER": "The profile, in place of `--cluster`.",
    "RAYLT_SENDER": "Set by raylt for a job: how it was sent, for the commands that it prints.",
    "UV_RUN_RECURSION_DEPTH": "Set by `uv run`: printed commands then begin with it, too.",
    "_RAYLT_COMPLETE": "Set by the shell when it completes a command; "
    "`_RAYLT_COMPLETE=bash_source raylt` prints what to put into .bashrc.",
    "MLFLOW_TRACKING_USERNAME": "The user of an MLflow server.",
    "MLFLOW_TRACKING_PASSWORD": "The password of an MLflow server; never put it into a URI.",
    "PGUSER": "The user of PostgreSQL, where the URL has none.",
    "PGPASSWORD": "The password of PostgreSQL; ~/.pgpass is read, too.",
    "AWS_ACCESS_KEY_ID": "The key for a bucket of checkpoints, on every machine.",
    "AWS_SECRET_ACCESS_KEY": "Its secret.",
    "AWS_REGION": "The region of the bucket.",
    "AWS_DEFAULT_REGION": "The same, where AWS_REGION is not set.",
    "AWS_ENDPOINT_URL": "The address of an S3 server of your own.",
    "AWS_ENDPOINT_URL_S3": "The same; it goes before AWS_ENDPOINT_URL.",
    "RAY_AUTH_MODE": "`token` where the machines of a cluster know each other by a token.",
    "RAY_AUTH_TOKEN": "The token itself. Prefer a file.",
    "RAY_AUTH_TOKEN_PATH": "The file that holds the token; ~/.ray/auth_token where it is not set.",
    "RAY_TMPDIR": "The folder of Ray's temporary files and sockets. Its path must be short.",
    "TMPDIR": "The same, where RAY_TMPDIR is not set.",
    "TEMP": "The same, where TMPDIR is not set.",
    "TMP": "The same, where TEMP is not set.",
    "XDG_RUNTIME_DIR": "A folder for sockets, where no other can be used.",
    "CUDA_VISIBLE_DEVICES": "The GPUs of this machine that may be used, by their numbers.",
    "OMP_NUM_THREADS": "Threads of a process, in place of `trial.cpus_per_worker`.",
    "GLOO_SOCKET_IFNAME": "The network interface over which workers on CPUs exchange gradients.",
    "NCCL_SOCKET_IFNAME": "The network interface over which workers on GPUs exchange gradients.",
    "NO_PROXY": "Hosts that are reached without a proxy. Where a proxy is set, raylt adds this "
    "machine.",
    "HTTP_PROXY": "The proxy for data sets and MLflow; HTTPS_PROXY and ALL_PROXY, too.",
}
"""Those that stand in for no option, by name."""


def variables() -> dict[str, str]:
    """Name -> what it does; first those that stand in for an option."""
    named: dict[str, str] = {}
    for name, field in settings.Settings.model_fields.items():
        option = settings.option_of(field)
        if option is not None and option.variable is not None:
            meaning = " ".join((field.description or "").split())
            named[option.variable] = f"In place of `{settings.flag(name)}`. {meaning}"
    return named | OTHERS
