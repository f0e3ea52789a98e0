"""A search on this machine, watched: who listens where, who may enter Ray's folder, and what a
proxy in the environment is asked. Prints what it saw as JSON."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

WORDS = ["epochs=4", "schedule.warmup=1", "study.scheduler={name: none}", "study.trials=2"]
FOLDER = re.compile(r"/[^ =]*raylt-ray-\w+")


class Proxy(threading.Thread):
    """Takes down the first line of everything that it is asked, and answers nothing."""

    def __init__(self):
        super().__init__(daemon=True)
        self.asked = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self.server.getsockname()[1]}"

    def run(self):
        while True:
            with contextlib.suppress(OSError):
                connection, _ = self.server.accept()
                connection.settimeout(2)
                self.asked.append(connection.recv(200).split(b"\r\n")[0].decode())
                connection.close()


class Listeners:
    """Who listened where: a set of (command, address). A process that is ending has its sockets
    still and its command no more, so it is known by the last command that was read of it."""

    def __init__(self):
        self.seen, self.commands = set(), {}

    def look(self, pid):
        """Takes down the listening sockets of a process and its descendants."""
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                if command := " ".join(process.cmdline()).strip():
                    self.commands[process] = command[:300]
                self.seen |= {
                    (self.commands[process], connection.laddr.ip)
                    for connection in process.net_connections(kind="inet")
                    if connection.status == psutil.CONN_LISTEN and process in self.commands
                }


def main(runs, *more):
    proxy = Proxy()
    proxy.start()
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    environment = {**os.environ, **dict.fromkeys(names, proxy.uri)}
    command = [sys.executable, "-m", "raylt", "tune", "-s", "search_spaces/sdclr.yaml"]
    search = subprocess.Popen(
        [*command, "--runs", runs, "--study", "alone", *WORDS, *more],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    listeners = Listeners()
    modes, folders = set(), set()
    messages = []
    reader = threading.Thread(target=lambda: messages.append(search.stderr.read()))
    reader.start()
    while search.poll() is None:
        with contextlib.suppress(psutil.Error):
            listeners.look(search.pid)
        commands = listeners.commands.values()
        folders |= {found[0] for command in commands if (found := FOLDER.search(command))}
        with contextlib.suppress(FileNotFoundError):
            modes |= {oct(Path(folder).stat().st_mode) for folder in folders}
        time.sleep(0.2)
    reader.join()
    facts = {
        "code": search.returncode,
        "said": messages[0][-3000:],
        "sockets": sorted(listeners.seen),
        "folders": sorted(folders),
        "modes": sorted(modes),
        "left": [folder for folder in folders if Path(folder).exists()],
        "asked": proxy.asked,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
