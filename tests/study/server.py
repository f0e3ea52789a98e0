"""An MLflow server of its own for a test: started, killed and started again on one port."""

import contextlib
import itertools
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

_PATIENCE = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def balanced(ports):
    """One port in front of several servers: each connection goes to the next of them."""
    turn = itertools.cycle(ports)

    class Through(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.create_connection(("127.0.0.1", next(turn))) as behind:
                back = threading.Thread(target=_copy, args=(behind, self.request), daemon=True)
                back.start()
                _copy(self.request, behind)
                back.join()

    class Front(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Front(("127.0.0.1", 0), Through) as front:
        threading.Thread(target=front.serve_forever, daemon=True).start()
        yield front.server_address[1]
        front.shutdown()


def _copy(source, target):
    # Whoever hangs up first ends both ways.
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def running(command, *, port, log, env=None):
    """A server that listens on a port, killed at the end with all of its processes."""
    with log.open("ab") as file:
        server = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    try:
        end = time.monotonic() + _PATIENCE
        while not _answers(port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(timeout=30)


def mlflow(folder, port):
    """The command of a plain server over SQLite."""
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{folder}/server.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]


def _answers(port):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
    except urllib.error.HTTPError:
        # It asks for a password.
        return True
    except OSError:
        return False
    return True
