"""Every way to end: a message for people and an exit code for programs."""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import io
import logging
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Generator, Sequence
from types import FrameType
from typing import NoReturn, TextIO

import click

from raylt import escape, uris
from raylt.cli import output

INTERRUPTED = 130
BROKEN_PIPE = 141
CODES = {
    0: "All is well.",
    1: "A fault of raylt itself. The traceback is in a file that the message names.",
    2: "The input is wrong: a file, an option, a name. Nothing was started or written.",
    3: "The world refuses: a file, the disk, the network, a service, a missing machine. What was "
    "done before is kept.",
    4: "Some trials failed; the others are ranked.",
    5: "All trials failed.",
    INTERRUPTED: "Interrupted. What was trained is kept, and the command to go on is printed.",
    BROKEN_PIPE: "Nobody reads the output any more, as with `| head`.",
}
"""What each exit code means."""
_WORLD = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
)
"""What no program can mend: a disk that is full, read-only, broken or gone, too many files."""


def program(run: Callable[[Sequence[str]], int]) -> NoReturn:
    """Run the command line of this process, and end the process once its output is out."""
    codes: list[int] = []
    if isinstance(sys.stderr, io.TextIOWrapper) and isinstance(sys.stdout, io.TextIOWrapper):
        out, err = sys.stdout, sys.stderr
        sys.stdout = _Results(out.buffer, out.encoding, line_buffering=out.line_buffering)
        sys.stderr = _Unread(err.buffer, err.encoding, line_buffering=True)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    # What is registered first is called last.
    atexit.register(_end, codes)
    codes.append(run(sys.argv[1:]))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        codes.append(_broken_pipe())
    except _Unwritable as error:
        codes.append(_unwritable(error))
    sys.exit(codes[-1])


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ctrl-C, a moment later where it falls into Python's own code for imports.

    That code has callbacks in which an interruption is ignored, and the lock of all imports stays
    held: every thread that imports would then wait for ever.
    """
    if frame is not None and frame.f_code.co_filename == "<frozen importlib._bootstrap>":
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
        return
    signal.default_int_handler(number, frame)


class _Unwritable(OSError):
    """Standard output takes nothing any more."""


class _Results(io.TextIOWrapper):
    """Standard output, whose errors can be told from those of other files."""

    def write(self, text: str) -> int:
        with _as_unwritable():
            return super().write(text)

    def flush(self) -> None:
        with _as_unwritable():
            super().flush()


@contextlib.contextmanager
def _as_unwritable() -> Generator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _Unwritable(error.errno, error.strerror) from error


class _Unread(io.TextIOWrapper):
    """Standard error, which need not be read: what it does not take is lost, and nothing ends."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            _drop(self)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            _drop(self)


def _end(codes: Sequence[int]) -> None:
    """End the process at once if a thread still runs native code, such as a progress table.

    Otherwise the interpreter would be taken away under it, and the process would end by a signal.
    """
    if codes and any(thread.daemon for thread in threading.enumerate()):
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(codes[-1])


def run(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command line.

    Returns:
        One of `CODES`.
    """
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(escape.Formatter())
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its code instead of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    fail = functools.partial(_fail, known=uris.of_process(arguments))
    try:
        typed = uris.redacted_command(["raylt", *arguments])
        with command.make_context("raylt", list(arguments), obj=typed) as context:
            command.invoke(context)
            sys.stdout.flush()
        return 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as wrong:
        context = wrong.ctx if isinstance(wrong, click.UsageError) else None
        hint = f"; see `{context.command_path} --help`" if context else ""
        return fail(wrong.format_message().rstrip(".") + hint, 2)
    except (KeyboardInterrupt, click.Abort) as error:
        return fail(" ".join(["interrupted", *map(str, error.args)]), INTERRUPTED)
    except BrokenPipeError:
        return _broken_pipe()
    except _Unwritable as error:
        return _unwritable(error)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG and error.filename:
            # raylt's own names are short: the user's path is in it, from a file or a variable.
            return fail(too_long(error.filename), 2)
        if error.errno not in _WORLD:
            return fail(_fault(error, arguments), 1)
        where = f" ({error.filename})" if error.filename else ""
        refused = f"the machine refused: {error.strerror}{where}; mend that"
        return fail(_noted(refused, error, "then run the command again"), 3)
    except Exception as error:
        from raylt.schema import RayltError

        if isinstance(error, RayltError):
            return fail(_noted(str(error), error), error.exit_code)
        return fail(_fault(error, arguments), 1)


def _noted(message: str, error: Exception, *otherwise: str) -> str:
    """A message with what was noted on its error on the way, such as the command to go on with."""
    return "; ".join([message, *getattr(error, "__notes__", otherwise)])


def too_long(path: object) -> str:
    """That the file system takes no path of this length."""
    name = str(path)
    return (
        f"a path must be as short as the file system has them, but {name[:60]}... has "
        f"{len(name)} characters; name a shorter one"
    )


def _fail(message: str, code: int, *, known: Sequence[str]) -> int:
    with contextlib.suppress(BrokenPipeError):
        for line in uris.redacted(message, known).splitlines():
            # What is set in belongs to the error above.
            output.echo(line if line.startswith("  ") else f"error: {line}", err=True)
    return code


def _broken_pipe() -> int:
    _drop(sys.stdout)
    return BROKEN_PIPE


def _unwritable(error: OSError) -> int:
    _drop(sys.stdout)
    output.echo(
        f"error: the results must be written to standard output, but it takes none: "
        f"{error.strerror}; what the command did is kept",
        err=True,
    )
    return 3


def _drop(stream: TextIO) -> None:
    """Throw away what a stream still holds and all that comes: the interpreter writes once more
    at its end, which must not fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fault(error: Exception, arguments: Sequence[str]) -> str:
    """One line for a fault of our own; the traceback goes to a file."""
    full = "".join(traceback.format_exception(error))
    full = uris.redacted(full, uris.of_process(arguments))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="raylt-", suffix=".log", delete=False, encoding="utf-8"
        ) as file:
            file.write(full)
        where = f"the traceback is in {file.name}"
    except OSError:
        where = "the traceback follows\n" + full
    return f"{type(error).__name__}: {error}; this is a fault of raylt, please report it: {where}"
