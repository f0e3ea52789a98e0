"""Pretend hosts on one Linux machine: a Ray cluster whose machines can lose power and cables.

Every host has its own network, process, mount, host name and IPC namespace, /tmp/ray and
/dev/shm; all else of the file system is one, as a shared folder is. Killing a host's first process
is a power cut, taking its port of the switch down is a pulled cable. The switch is a bridge in a
namespace of its own, so nothing is added to the network of the machine. Needs root, iproute2 and
util-linux.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

RAY = str(Path(sys.executable).with_name("ray"))
FAST = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
"""A dead host is known within 5 s; on busy production machines that would be too nervous."""
_SUBNET = "10.213.9"
_INIT = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
while True:
    signal.sigwait({signal.SIGCHLD})
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
"""

_NODES = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
alive = [node for node in ray.nodes() if node["Alive"]]
print(next(node["NodeID"] for node in alive if node["NodeManagerAddress"] == sys.argv[2]))
"""


def missing() -> str:
    """Why pretend hosts cannot be made here; "" if they can."""
    if not sys.platform.startswith("linux"):
        return "pretend hosts need Linux"
    if os.geteuid() != 0:
        return "pretend hosts need root"
    tools = [tool for tool in ("ip", "unshare", "nsenter", "mount") if shutil.which(tool) is None]
    if tools:
        return f"pretend hosts need {', '.join(tools)} (iproute2, util-linux)"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True
    )
    return "" if tried.returncode == 0 else f"namespaces are not allowed here: {tried.stderr}"


def _sh(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


@dataclass
class Host:
    name: str
    address: str
    port: str
    unshare: subprocess.Popen
    pid: int

    def words(self, *command):
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", "-i", "-p", "--", *command]

    def start(self, *command, env, log):
        """A command on the host that runs on; its output goes to a file."""
        with log.open("wb") as file:
            return subprocess.Popen(
                self.words(*command), stdout=file, stderr=file, env=env, start_new_session=True
            )

    def run(self, *command, env=None, seconds=240):
        done = subprocess.run(
            self.words(*command), capture_output=True, text=True, env=env, timeout=seconds
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {shlex.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def processes(self, needle):
        """Processes of the host, by its own numbers, whose command line holds a text."""
        lines = [line.split(None, 1) for line in self.run("ps", "-eo", "pid=,args=").splitlines()]
        return [int(pid) for pid, args in lines if needle in args and "ps -eo" not in args]


class Hosts:
    """A switch with hosts on it; everything is gone after the `with`."""

    def __init__(self, folder: Path, env: dict[str, str]):
        self.folder = folder
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.env = {**os.environ, **FAST, "PATH": path, **env}
        self.hosts: dict[str, Host] = {}
        self._switch = f"raylt{os.getpid()}"
        self._count = 0

    def __enter__(self):
        _sh("ip", "netns", "add", self._switch)
        _sh("ip", "-n", self._switch, "link", "add", "br0", "type", "bridge")
        _sh("ip", "-n", self._switch, "link", "set", "br0", "up")
        return self

    def __exit__(self, *_):
        for name in list(self.hosts):
            self.power_cut(name)
        _sh("ip", "netns", "del", self._switch)

    def add(self, name, *, resolves=True, private=()):
        """A host; `resolves` says whether its name leads to its address, `private` what it does
        not share with the others."""
        self._count += 1
        address, port = f"{_SUBNET}.{self._count}", f"p{self._count}"
        Path("/tmp/ray").mkdir(exist_ok=True)
        names = self.folder / f"hosts.{name}"
        own = f"{address} {name}" if resolves else f"127.0.1.1 {name}"
        names.write_text(f"127.0.0.1 localhost\n{own}\n")
        script = [
            f"hostname {name}",
            "mount -t tmpfs -o size=2g tmpfs /tmp/ray",
            "mount -t tmpfs -o size=1g tmpfs /dev/shm",
            f"mount --bind {shlex.quote(str(names))} /etc/hosts",
            *(f"mount -t tmpfs tmpfs {shlex.quote(str(path))}" for path in private),
            "ip link set lo up",
            f"exec {shlex.quote(sys.executable)} -c {shlex.quote(_INIT)}",
        ]
        process = subprocess.Popen(
            [
                "unshare",
                "--net",
                "--mount",
                "--uts",
                "--ipc",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "bash",
                "-ec",
                "\n".join(script),
            ],
            stderr=subprocess.DEVNULL,
        )
        host = Host(name, address, port, process, _first_process(process))
        self.hosts[name] = host
        _sh(
            "ip",
            "-n",
            self._switch,
            "link",
            "add",
            port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            str(host.pid),
        )
        _sh("ip", "-n", self._switch, "link", "set", port, "master", "br0", "up")
        host.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        return host

    def power_cut(self, name):
        """Every process of the host is gone at once."""
        host = self.hosts.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.kill(host.pid, signal.SIGKILL)
        host.unshare.wait(timeout=20)
        subprocess.run(["ip", "-n", self._switch, "link", "del", host.port], capture_output=True)

    def pull_cable(self, name):
        _sh("ip", "-n", self._switch, "link", "set", self.hosts[name].port, "down")

    def ray(self, name, *, head=None, cpus):
        """Start Ray on a host: a head, or a worker of the head with that name."""
        host = self.hosts[name]
        where = (
            ["--head", "--port=6379"]
            if head is None
            else [f"--address={self.hosts[head].address}:6379"]
        )
        what = [f"--node-ip-address={host.address}", f"--num-cpus={cpus}"]
        small = ["--object-store-memory=120000000", "--disable-usage-stats"]
        host.run(RAY, "start", *where, *what, *small, env=self.env)

    def stop_ray(self, name):
        """End whatever is left of a cluster on a host, as whoever starts a new one does."""
        self.hosts[name].run(RAY, "stop", "--force", env=self.env)

    def notice(self, name, *, head, seconds):
        """Tell Ray that a host will be taken away, as the agent of a cloud does."""
        address = f"{self.hosts[head].address}:6379"
        looks = self.hosts[head].run(
            sys.executable, "-c", _NODES, address, self.hosts[name].address, env=self.env
        )
        self.hosts[head].run(
            RAY,
            "drain-node",
            "--address",
            address,
            "--node-id",
            looks.split()[-1],
            "--reason",
            "DRAIN_NODE_REASON_PREEMPTION",
            "--reason-message",
            "a drill",
            "--deadline-remaining-seconds",
            str(seconds),
            env=self.env,
        )


def _first_process(unshare):
    """The first process inside, as seen from outside, once its mounts are done."""
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
    for _ in range(200):
        with contextlib.suppress(OSError, IndexError, ValueError):
            pid = int(children.read_text().split()[0])
            if "sigwait" in Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        time.sleep(0.05)
    raise RuntimeError("a pretend host did not come up")
