"""A small archive, and what would be known of it."""

import hashlib
import io
import tarfile

from raylt.data.archive import Archive

FILES = {"train": b"seven bytes " * 1000, "test": b"others"}


def packed(files=None, *, extra=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member, content in extra:
            tar.addfile(member, io.BytesIO(content))
        for name, content in (FILES if files is None else files).items():
            member = tarfile.TarInfo(f"toy-set/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def described(content, url="http://127.0.0.1:9/toy.tar.gz"):
    return Archive(
        "toy",
        url,
        hashlib.sha256(content).hexdigest(),
        "toy-set",
        {name: hashlib.md5(data).hexdigest() for name, data in FILES.items()},
    )
