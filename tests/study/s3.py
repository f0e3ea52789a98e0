"""An S3 server of its own for tests: moto's program behind waitress, on loopback."""

import argparse
import contextlib
import http.server
import os
import sys
import threading
from pathlib import Path

from tests.study import server

SECRET = "canary-7d21"
BUCKET = "raylt-test"
ROOT = Path(__file__).parents[2]


def environment(port, host="127.0.0.1"):
    """What a client of the server needs to know."""
    return {
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
    }


@contextlib.contextmanager
def running(folder, monkeypatch):
    """A server with a bucket for the time of a `with`, and its client in the environment."""
    port = server.free_port()
    words = [sys.executable, "-m", "tests.study.s3", "--port", str(port)]
    for name, value in environment(port).items():
        monkeypatch.setenv(name, value)
    with server.running(words, port=port, log=folder / "s3.log", env={"PYTHONPATH": str(ROOT)}):
        file_system().create_dir(BUCKET)
        yield port


class _Refuse(http.server.BaseHTTPRequestHandler):
    """What S3 says to whoever shows no credentials."""

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        signed = self.headers.get("Authorization") is not None
        code = "SignatureDoesNotMatch" if signed else "AccessDenied"
        body = f"<Error><Code>{code}</Code><Message>Access Denied</Message></Error>".encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def refusing():
    """A server that lets nobody in for the time of a `with`; its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refuse) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made.server_address[1]
        made.shutdown()


def file_system():
    """The server as the test sees it, beside raylt."""
    from pyarrow import fs

    return fs.S3FileSystem(
        endpoint_override=os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"),
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )


def objects():
    """Every object in the bucket -> its bytes."""
    from pyarrow import fs

    result = file_system().get_file_info(fs.FileSelector(BUCKET, recursive=True))
    return {
        info.path.removeprefix(f"{BUCKET}/"): info.size
        for info in result
        if info.type == fs.FileType.File
    }


def main():
    from moto.server import DomainDispatcherApplication, create_backend_app
    from waitress import serve

    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int)
    options.add_argument("--host", default="127.0.0.1")
    chosen = options.parse_args()
    serve(DomainDispatcherApplication(create_backend_app), host=chosen.host, port=chosen.port)


if __name__ == "__main__":
    main()
