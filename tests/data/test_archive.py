import contextlib
import hashlib
import http.server
import multiprocessing
import socket
import tarfile
import threading
import time
from functools import partial

import pytest

from raylt.data import archive
from raylt.schema import EnvironmentError, InputError
from tests.data.made import FILES, described, packed


def quiet(done, expected):
    pass


def fetched(toy, root, source):
    return archive.fetch(toy, root, source=str(source), progress=quiet)


@pytest.fixture
def local(tmp_path):
    """(archive, path of its file, an empty data root)"""
    content = packed()
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(content)
    return described(content), path, tmp_path / "data"


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def left_behind(root):
    return sorted(p.name for p in root.iterdir() if p.name != ".toy-set.lock")


def test_a_published_archive_is_fetched_and_read(server, tmp_path):
    folder, address = server
    content = packed()
    (folder / "toy.tar.gz").write_bytes(content)
    seen = []
    toy = described(content, f"{address}/toy.tar.gz")
    root = tmp_path / "data"
    archive.fetch(toy, root, source=None, progress=lambda *at: seen.append(at))
    assert {name: archive.read(toy, root, name) for name in FILES} == FILES
    assert seen[-1] == (len(content), len(content))
    assert left_behind(root) == ["toy-set"]


def test_what_is_there_is_not_fetched_again(local):
    toy, path, root = local
    fetched(toy, root, path)
    path.unlink()
    assert fetched(toy, root, path) == root / "toy-set"
    root.chmod(0o500)  # a read-only disk is no hindrance then
    fetched(toy, root, path)
    root.chmod(0o700)


def test_another_archive_is_refused_with_both_sums(local):
    toy, path, root = local
    other = b"<html>Not found</html>"
    path.write_bytes(other)
    with pytest.raises(EnvironmentError) as raised:
        fetched(toy, root, path)
    assert toy.sha256 in str(raised.value)
    assert hashlib.sha256(other).hexdigest() in str(raised.value)
    assert left_behind(root) == []


def test_a_transfer_that_breaks_off_leaves_nothing(local):
    toy, path, root = local
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(EnvironmentError, match="SHA-256"):
        fetched(toy, root, path)
    assert left_behind(root) == []
    with pytest.raises(EnvironmentError, match=rf"run `raylt data get toy --data {root}`"):
        archive.read(toy, root, "train")


@contextlib.contextmanager
def answering(*answers):
    """A server that answers with each of some (bytes, announced size), and with the last on."""
    left = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content, size = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(200)
            if size:
                self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_first_broken_answer_is_tried_again(tmp_path):
    content = packed()
    toy = described(content)
    with answering((b"proxy error", 11), (content, len(content))) as address:
        fetched(toy, tmp_path, f"{address}/toy.tar.gz")
    assert archive.read(toy, tmp_path, "test") == FILES["test"]


def test_a_server_may_keep_the_size_to_itself(tmp_path):
    content, seen = packed(), []
    toy = described(content)
    with answering((content, 0)) as address:
        archive.fetch(toy, tmp_path, source=address, progress=lambda *at: seen.append(at))
    assert seen[0] == (archive.CHUNK, 0)
    assert seen[-1] == (len(content), len(content))


def test_a_line_that_breaks_off_is_told_apart_from_another_archive(tmp_path):
    with (
        answering((bytes(1_500_000), 4_000_000)) as address,
        pytest.raises(EnvironmentError, match="1500000 bytes read, 2500000 more expected"),
    ):
        fetched(described(packed()), tmp_path, f"{address}/toy.tar.gz")
    assert left_behind(tmp_path) == []


def test_a_server_that_stalls_is_given_up_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/toy.tar.gz"
        began = time.monotonic()
        with pytest.raises(EnvironmentError, match=r"timed out.*--from FILE"):
            fetched(described(packed()), tmp_path, address)
    assert time.monotonic() - began < 10
    assert left_behind(tmp_path) == []


def test_a_proxy_of_the_environment_is_used(tmp_path, monkeypatch):
    content = packed()
    toy = described(content, "http://data.invalid/toy.tar.gz")
    with answering((content, len(content))) as address:
        monkeypatch.setenv("http_proxy", address)
        archive.fetch(toy, tmp_path, source=None, progress=quiet)
    assert archive.read(toy, tmp_path, "test") == FILES["test"]


def test_no_network_says_what_to_do(server, tmp_path):
    toy = described(packed())
    with pytest.raises(
        EnvironmentError,
        match=r"\(Connection refused\); .* `raylt data get toy --data .* --from FILE`",
    ):
        archive.fetch(toy, tmp_path, source=None, progress=quiet)
    with pytest.raises(EnvironmentError, match="404"):
        fetched(toy, tmp_path, f"{server[1]}/absent.tar.gz")


def test_a_source_that_is_nothing_is_the_users_mistake(local):
    toy, _, root = local
    with pytest.raises(InputError, match="web address or a file"):
        fetched(toy, root, "nowhere.tar.gz")


def test_what_is_larger_than_any_archive_is_not_fetched(local, tmp_path, monkeypatch):
    toy, path, root = local
    monkeypatch.setattr(archive, "LARGEST_ARCHIVE", path.stat().st_size - 1)
    with pytest.raises(InputError, match=r"--from: .* must be a published archive, of at most"):
        fetched(toy, root, path)
    # Whether a server says how much there is or goes on for ever.
    monkeypatch.setattr(archive, "LARGEST_ARCHIVE", 1_000_000)
    for size in (0, 4_000_000):
        with (
            answering((bytes(4_000_000), size)) as address,
            pytest.raises(EnvironmentError, match="of at most 1,000,000 bytes, but has"),
        ):
            fetched(toy, root, f"{address}/toy.tar.gz")
    assert left_behind(root) == []


def test_a_half_written_folder_is_completed(local):
    toy, path, root = local
    (root / "toy-set").mkdir(parents=True)
    (root / "toy-set" / "train").write_bytes(FILES["train"][:100])
    (root / ".toy-set.part").mkdir()  # left by a process that was killed
    (root / ".toy-set.part" / "train").write_bytes(b"half")
    with pytest.raises(EnvironmentError, match="damaged or not finished"):
        archive.read(toy, root, "train")
    fetched(toy, root, path)
    assert archive.read(toy, root, "train") == FILES["train"]
    assert left_behind(root) == ["toy-set"]


def evil(name, **attributes):
    member = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(member, key, value)
    member.size = 4 if member.isreg() else 0
    return member, b"evil" if member.isreg() else b""


def bomb(name, size):
    """A few bytes of an archive that are many outside of it."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member, bytes(size)


def test_an_archive_writes_nothing_but_its_known_files(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 20_000)
    extra = (
        evil("../evil"),
        evil(str(tmp_path / "absolute")),
        evil("toy-set/../../evil"),
        evil("toy-set/unknown"),
        evil("toy-set/train", type=tarfile.SYMTYPE, linkname=str(tmp_path / "target")),
        evil("toy-set/test", type=tarfile.FIFOTYPE),
        evil("toy-set/test", type=tarfile.LNKTYPE, linkname="../../evil"),
        evil("toy-set/test", type=tarfile.CHRTYPE),
        evil("toy-set/test", type=tarfile.DIRTYPE, mode=0o777),
        bomb("toy-set/test", 20_001),
        bomb("toy-set/other", 30_000_000),
    )
    path = tmp_path / "toy.tar.gz"
    path.write_bytes(packed(extra=extra))
    root = tmp_path / "data"
    toy = described(path.read_bytes())
    fetched(toy, root, path)
    assert {name: archive.read(toy, root, name) for name in FILES} == FILES
    assert sorted(p.name for p in (root / "toy-set").iterdir()) == ["test", "train"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "toy.tar.gz"]


def test_a_root_that_cannot_be_written_is_named(local, tmp_path):
    toy, path, _ = local
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(EnvironmentError, match="choose another folder"):
        fetched(toy, blocked / "data", path)


def fetch_in_process(toy, root, path, outcomes):
    fetched(toy, root, path)
    outcomes.put(archive.read(toy, root, "train"))


def test_two_processes_may_fetch_at_once(local):
    toy, path, root = local
    context = multiprocessing.get_context("spawn")
    outcomes = context.Queue()
    processes = [
        context.Process(target=fetch_in_process, args=(toy, root, path, outcomes))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    assert [outcomes.get(timeout=60) for _ in processes] == [FILES["train"]] * 3
    for process in processes:
        process.join()
    assert left_behind(root) == ["toy-set"]
