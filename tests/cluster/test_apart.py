"""Hosts that share no folder: a bucket is all that their trials leave behind."""

import re
import time

from tests.cluster.drill import MARKS, ROOT
from tests.study import s3

pytestmark = MARKS


def test_a_trial_goes_on_from_the_bucket_on_a_host_that_has_nothing_of_it(drill):
    (runs := drill.folder / "runs").mkdir()
    drill.epochs = 8
    # Longer than sending takes, on a busy machine too: else more than one epoch may be lost.
    drill.pace(5)
    drill.cluster("a", "b", "c", private=(runs,), bucket=True)
    address = f"{drill.hosts.hosts['head'].address}:6379"
    # Without the bucket nothing begins.
    done = drill.raylt(
        "tune",
        "--space",
        str(ROOT / "search_spaces" / "sdclr.yaml"),
        "--address",
        address,
        "--runs",
        str(runs),
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "must be one folder on all 4 machines" in done.stderr
    assert all(f"{name} (No such file or directory" in done.stderr for name in "abc")
    assert not [path for path in runs.rglob("*") if path.is_file()]
    more = ("--checkpoints", f"s3://{s3.BUCKET}/drill")
    drill.begin("search", "head", workers=1, trials=2, more=more)
    # What the driver knows of a trial; the rest is where it runs.
    known = runs / "toy" / "trials" / "0" / "epochs.jsonl"
    drill.wait(lambda: lines(known) >= 3, "epoch 3")
    lost = where(drill, 0)
    began, before = time.monotonic(), lines(known)
    drill.hosts.power_cut(lost)
    drill.wait(lambda: lines(known) > before, "training elsewhere")
    took = time.monotonic() - began
    drill.note("a host that shares no folder loses power, with a bucket", took)
    result = drill.end()
    assert [trial["attempts"] for trial in result["trials"]] == [2, 1]
    printed = (known.parent / "output.txt").read_text()
    starts = re.findall(r"trial 0 is here, on (\w+) from epoch (\d+)", printed)
    assert [host == lost for host, _ in starts] == [True, False]
    # At most one epoch is trained again.
    assert starts[0][1] == "0"
    assert before - 1 <= int(starts[1][1]) <= before + 1
    # The driver's own folder has no checkpoint that it could have been.
    assert not list(known.parent.glob("*.safetensors"))


def where(drill, trial):
    """The host that has the folder of a trial."""
    path = drill.folder / "runs" / "toy" / "trials" / str(trial)
    look = ("bash", "-c", f"ls {path} 2>/dev/null || true")
    (there,) = (name for name in "abc" if "starts.txt" in drill.hosts.hosts[name].run(*look))
    return there


def lines(path):
    text = path.read_text() if path.exists() else ""
    return sum(bool(line) for line in text.splitlines())
