"""A job that is followed: to its end, or to one line that says what became of it."""

import asyncio
import threading
import types

import pytest

from raylt.cluster import job
from raylt.schema import EnvironmentError

pytestmark = pytest.mark.usefixtures("no_token")
HEAD = "http://head:8265"


class Client:
    """A Jobs API whose log breaks off once and starts from its beginning again."""

    def __init__(self):
        self.calls = 0

    async def tail_job_logs(self, name):
        self.calls += 1
        yield "one\n"
        if self.calls == 1:
            raise OSError("gone")
        yield "two\n"

    def get_job_info(self, name):
        ended = self.calls > 1
        value = "FAILED" if ended else "RUNNING"
        status = types.SimpleNamespace(value=value, is_terminal=lambda: ended)
        return types.SimpleNamespace(status=status, driver_exit_code=4, message="")


def followed(client, say):
    return job.follow(client, HEAD, "job", say, again="raylt resume toy")


def test_a_log_that_breaks_off_is_not_told_twice():
    messages = []
    assert followed(Client(), messages.append) == 4
    message = "".join(text for text in messages if not text.startswith("warning"))
    assert message.count("two\n") == 1


class Gone(Client):
    """A Jobs API that fails from its second question on."""

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.asked = 0

    def get_job_info(self, name):
        self.asked += 1
        if self.asked > 1:
            raise self.error
        return super().get_job_info(name)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ConnectionError("Pool(x): Max retries: [Errno 111] Connection refused'))"),
            r"has not for 0 s: Connection refused; if .* `raylt resume toy`$",
        ),
        (
            RuntimeError("Request failed with status code 404: Job x does not exist"),
            r"deleted it; .* `raylt resume toy`$",
        ),
        (
            RuntimeError("Authentication required: token"),
            "must accept our token, but we have none",
        ),
    ],
)
def test_a_cluster_or_a_job_that_is_gone_is_one_line(error, words, monkeypatch):
    monkeypatch.setattr(job, "AWAY", 0.0)
    with pytest.raises(EnvironmentError, match=words) as caught:
        followed(Gone(error), lambda _: None)
    assert "\n" not in str(caught.value)


class Dark(Client):
    """A Jobs API on a host without power: no connection ends, and nothing answers any more."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    async def tail_job_logs(self, name):
        yield "one\n"
        await asyncio.sleep(60)

    def get_job_info(self, name):
        self.asked += 1
        if self.asked > 1:
            threading.Event().wait(60)
        return super().get_job_info(name)


def test_a_head_that_is_dark_is_not_waited_for(monkeypatch):
    for name in ("AWAY", "ANSWER", "SILENCE"):
        monkeypatch.setattr(job, name, 0.1)
    messages = []
    with pytest.raises(EnvironmentError, match=r"must answer, but has not .*: no answer within"):
        followed(Dark(), messages.append)
    assert messages == ["one\n"]


class Slow(Client):
    """A job that says nothing for a while."""

    async def tail_job_logs(self, name):
        self.calls += 1
        yield "one\n"
        if self.calls == 1:
            await asyncio.sleep(60)
        yield "two\n"


def test_a_job_that_is_silent_for_long_is_followed_on(monkeypatch):
    monkeypatch.setattr(job, "SILENCE", 0.1)
    messages = []
    assert followed(Slow(), messages.append) == 4
    assert messages == ["one\n", "two\n"]


class Restarted(Client):
    """A Jobs API that is out of reach for a moment."""

    def get_job_info(self, name):
        if not hasattr(self, "back"):
            self.back = True
            raise ConnectionError("refused")
        return super().get_job_info(name)


def test_a_cluster_that_comes_back_is_followed_on():
    assert followed(Restarted(), lambda _: None) == 4


class Chatty(Client):
    async def tail_job_logs(self, name):
        self.calls += 2
        yield "2026-11-29 20:45:06,945\tINFO job_manager.py:581 -- Runtime env is up.\nmine\n"
        yield "[2026-11-30 03:42:20,606 I 415 415] logging.cc:303: Set ray log level to 2\n"
        yield "Running entrypoint for job raylt-toy-5e88a52d: python -m raylt tune\n"


def test_rays_own_lines_are_left_out_of_a_jobs_output():
    messages = []
    assert followed(Chatty(), messages.append) == 4
    assert "".join(messages) == "mine\n"


@pytest.mark.parametrize("error", [ValueError("bad"), ConnectionError("gone"), KeyError("x")])
def test_whatever_rays_client_raises_is_one_line(error):
    with (
        pytest.raises(EnvironmentError, match=r"must accept the job.*raylt doctor --address"),
        job.accepting(HEAD, "accept the job, but refused it"),
    ):
        raise error


class Failed(Client):
    """A Jobs API whose reason repeats the log, as Ray's does, with lines of Ray's own."""

    def get_job_info(self, name):
        info = super().get_job_info(name)
        info.driver_exit_code = 1
        info.message = (
            "Job entrypoint command failed with exit code 1, last available logs (truncated to "
            "20,000 chars):\n2026-11-30 00:23:38,444\tINFO job_manager.py:581 -- Runtime env is "
            "setting up.\none\ntwo\n"
        )
        return info


def test_a_job_that_fails_says_why_without_its_log_again():
    messages = []
    assert followed(Failed(), messages.append) == 1
    assert messages[-1] == "job job: FAILED: Job entrypoint command failed with exit code 1\n"


@pytest.mark.parametrize(("status", "driver", "code"), [("STOPPED", None, 130), ("FAILED", -9, 1)])
def test_a_job_that_was_stopped_or_killed_is_told_with_what_goes_on(status, driver, code):
    class Ended(Client):
        def get_job_info(self, name):
            info = super().get_job_info(name)
            info.driver_exit_code = driver
            info.status.value = status if info.status.is_terminal() else "RUNNING"
            return info

    messages = []
    assert followed(Ended(), messages.append) == code
    assert messages[-1].endswith(
        "was ended; what was reported is kept, go on with `raylt resume toy`\n"
    )
