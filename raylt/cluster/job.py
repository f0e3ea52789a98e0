"""A job of raylt on a cluster: followed to its end, whatever becomes of the job or the cluster."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Generator
from typing import Any

from raylt import threads
from raylt.cluster import token
from raylt.schema import EnvironmentError

Say = Callable[[str], None]
"""Takes text for the user."""
_START = 120.0
"""Seconds in which a job must start; it books nothing, so it has nothing to wait for."""
AWAY = 30.0
"""Seconds that a cluster may be out of reach while its job is followed."""
ANSWER = 10.0
"""Seconds for one answer of it, for which Ray's client would wait for ever."""
SILENCE = 30.0
"""Seconds without a line of the log after which the cluster is asked for the job."""
_OF_RAY = re.compile(
    r"^(?:[-\d]+ [\d:,]+\s+INFO job_manager\.py:\d+ -- "
    r"|\[[-\d]+ [\d:,]+ I \d+ \d+\] logging\.cc:\d+: "
    r"|Running entrypoint for job raylt-\S+: ).*\n",
    re.MULTILINE,
)
"""A line that Ray puts into the output of a job."""
_ERRNO = re.compile(r"\[Errno \d+\] ([\w ]+)")
"""The reason of the system in an error."""
_EXIT_CODES = (1, 2, 3, 4, 5, 130)
"""The exit codes of raylt itself."""


def exit_code(status: str, driver: int | None) -> int:
    """The exit code that a job's end stands for.

    Args:
        status: SUCCEEDED, STOPPED or FAILED, as the Jobs API says it.
        driver: The exit code of the command on the cluster, if known.
    """
    if status == "SUCCEEDED":
        return 0
    if driver in _EXIT_CODES:
        return driver
    return 130 if status == "STOPPED" else 1


@contextlib.contextmanager
def accepting(address: str, duty: str) -> Generator[None]:
    """Turn what Ray's client raises for a cluster into one line.

    Raises:
        EnvironmentError: it did not do its duty, within the `with`.
    """
    try:
        yield
    except EnvironmentError:
        raise
    except Exception as error:
        # Ray's client raises errors of its own, of requests and of aiohttp.
        if token.is_refusal(error):
            raise token.refused(address) from error
        raise EnvironmentError(
            f"the cluster at {address} must {duty}: {' '.join(str(error).split())[:300]}; see "
            f"`raylt doctor --address {address}`"
        ) from error


def follow(client: Any, address: str, name: str, say: Say, *, again: str) -> int:
    """Print the output of a job as it comes, until the job ends; returns its exit code.

    Args:
        client: Of the Jobs API.
        again: The command that goes on with what it does.

    Raises:
        EnvironmentError: it does not start, or the cluster or the job is gone.
    """
    job = _Watched(client, address, name, again)
    deadline = time.monotonic() + _START
    while job.info().status.value == "PENDING":
        if time.monotonic() > deadline:
            with accepting(address, f"stop the job {name}, but did not"):
                client.stop_job(name)
            raise EnvironmentError(
                f"the job must start within {_START:.0f} s, but {name} is still pending and was "
                f"stopped; look at the head's memory and at dashboard_agent.log there"
            )
        time.sleep(1)
    shown, cut = 0, False
    while True:
        try:
            shown, cut = asyncio.run(_print_log(client, name, shown, say)), False
        except Exception as error:
            # What it raises for a log that is cut is of Ray, of aiohttp or of the system. Whether
            # the job and the head are still there is asked below.
            if not cut:
                say(f"warning: the log broke off ({' '.join(str(error).split())}); reading on\n")
            cut = True
        info = job.info()
        if info.status.is_terminal():
            break
        time.sleep(1)
    code = exit_code(str(info.status.value), info.driver_exit_code)
    if code == 1:
        # Ray repeats the log behind its reason.
        reason = str(info.message).partition(", last available logs")[0]
        say(f"job {name}: {info.status.value}: {reason}\n")
    # It had no time to say so itself: Ray kills what it stops after some seconds.
    if info.status.value == "STOPPED" or info.driver_exit_code not in (0, None, *_EXIT_CODES):
        say(f"warning: job {name} was ended; what was reported is kept, go on with `{again}`\n")
    return code


class _Watched:
    """A job on a cluster that may be out of reach for a while."""

    def __init__(self, client: Any, address: str, name: str, again: str) -> None:
        self._client, self._address, self._name, self._again = client, address, name, again

    def info(self) -> Any:
        """What the cluster knows about the job.

        Raises:
            EnvironmentError: the cluster does not answer any more, or the job was deleted.
        """
        deadline = time.monotonic() + AWAY
        while True:
            try:
                return self._asked()
            except Exception as error:
                if token.is_refusal(error):
                    raise token.refused(self._address) from error
                reason = " ".join(str(error).split())[:300]
                # What requests says of it in 200 letters.
                if errno := _ERRNO.search(reason):
                    reason = errno[1]
                if "404" in reason or "does not exist" in reason:
                    raise EnvironmentError(
                        f"job {self._name} must be on {self._address} to be followed, but "
                        f"somebody deleted it; what was reported is kept, go on with "
                        f"`{self._again}`"
                    ) from error
                if time.monotonic() > deadline:
                    raise EnvironmentError(
                        f"the cluster at {self._address} must answer, but has not for "
                        f"{AWAY:.0f} s: {reason}; if its head lives, the job goes on: `ray job "
                        f"logs --address {self._address} --follow {self._name}`; if not, what was "
                        f"reported is kept: start a head, then go on with `{self._again}`"
                    ) from error
                time.sleep(1)

    def _asked(self) -> Any:
        answer = threads.in_background(lambda: self._client.get_job_info(self._name))
        try:
            return answer.result(ANSWER)
        except TimeoutError:
            raise TimeoutError(f"no answer within {ANSWER:.0f} s") from None


async def _print_log(client: Any, name: str, shown: int, say: Say) -> int:
    """Print the log from its character `shown` on, until it ends or is silent for long; returns
    how many are shown then."""
    seen = 0
    log = client.tail_job_logs(name)
    with contextlib.suppress(TimeoutError):
        while (text := await asyncio.wait_for(anext(log, None), SILENCE)) is not None:
            fresh = _OF_RAY.sub("", text[max(0, shown - seen) :])
            seen += len(text)
            if fresh:
                say(fresh)
    return max(shown, seen)
