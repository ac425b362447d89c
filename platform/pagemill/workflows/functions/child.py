"""Fork server for functions, and the child that calls one. Run as a module by its parent.

The server has no function loaded, so that each child starts clean, in milliseconds, and sees the newest code.
A child that is kept serves further calls of its function.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TextIO, cast, get_args

import msgspec

from pagemill.sandbox.confinement import Sandbox
from pagemill.sandbox.fork_server import serve_forks
from pagemill.sandbox.framing import receive_message, send_message
from pagemill.sandbox.profile import FUNCTION
from pagemill.storable_text import has_nul
from pagemill.workflows.functions.messages import (
    CALL,
    INVALID_RESULT,
    LONGEST_MESSAGE,
    OUT_OF_MEMORY,
    OUTPUT_BYTES,
    FunctionCall,
    FunctionReply,
    Status,
)

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
STATUSES: tuple[str, ...] = get_args(Status)
NOBODY_HAS_ENDED = (0, 0)

_DECODER = msgspec.json.Decoder(FunctionCall)
"""Made in the server: it takes a millisecond, which each child would need."""


def serve_function(connection: socket.socket, _descriptors: Sequence[int], sandbox: Sandbox) -> None:
    """Serve calls until the parent goes: they come over the connection, each with a descriptor for prints."""
    os.setsid()  # what it starts can be ended with it
    sys.stdout, sys.stderr = _written_to(STANDARD_OUTPUT), _written_to(STANDARD_ERROR)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    environment = dict(os.environ)
    is_first = True
    while True:
        announced, descriptors, _, _ = socket.recv_fds(connection, len(CALL), 1)
        if not announced:
            return
        call = _DECODER.decode(receive_message(connection))
        _print_to(descriptors[0])
        os.chdir(call.working_directory)
        os.environ.clear()
        os.environ.update(environment | {"TMPDIR": call.working_directory})
        tempfile.tempdir = None  # it was that of the call before
        if is_first:
            sandbox.enter(call.memory_bytes, file_bytes=call.memory_bytes)
            if call.directory is not None:
                sys.path.insert(0, call.directory)
            is_first = False
        reply = _call(call)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(ValueError):  # the function has closed it
                stream.flush()
        # The parent reads what was printed up to its end.
        _print_to(os.open(os.devnull, os.O_WRONLY))
        send_message(connection, msgspec.json.encode(reply))


def _print_to(descriptor: int) -> None:
    """Let a descriptor take what is printed from now on, and close it."""
    for number in (STANDARD_OUTPUT, STANDARD_ERROR):
        os.dup2(descriptor, number)
    os.close(descriptor)


def _written_to(descriptor: int) -> TextIO:
    """Return a stream of text whose lines are written at once."""
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)


def _call(call: FunctionCall) -> FunctionReply:
    try:
        reply = reply_to(find_function(call.callable)(call.input, call.environment))
        return msgspec.structs.replace(reply, is_fit=_runs_nothing())
    except MemoryError:
        message = f"The function needs more than {call.memory_bytes / 1024**3:g} GiB of memory"
        return FunctionReply(status="failed", message=message, error=OUT_OF_MEMORY)
    except BaseException as error:  # noqa: BLE001 - whatever a function raises is its step's failure
        text = "".join(traceback.format_exception(type(error), error, _frames_of_function(error)))
        sys.stderr.write(text)
        return FunctionReply(
            status="failed", message=_plain(text[-LONGEST_MESSAGE:]), error=type(error).__name__
        )


def _runs_nothing() -> bool:
    """Return whether a call has left neither threads nor processes."""
    try:
        while os.waitpid(-1, os.WNOHANG) != NOBODY_HAS_ENDED:
            continue
    except ChildProcessError:
        return threading.active_count() == 1
    return False


def _frames_of_function(error: BaseException) -> TracebackType | None:
    """Return the traceback without the frame of this module."""
    return error.__traceback__.tb_next if error.__traceback__ else None


def find_function(name: str) -> Callable[[dict[str, Any], list[Any]], Any]:
    """Return the function of a ``module:name``. Raises what the import raises, AttributeError."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    function: Callable[[dict[str, Any], list[Any]], Any] = found
    return function


def reply_to(result: Any) -> FunctionReply:
    """Return the reply for what a function has returned: an output, or an output and a status."""
    is_pair = isinstance(result, tuple) and len(result) == 2
    output, status = result if is_pair else (result, "succeeded")
    if status not in STATUSES:
        return _invalid(f"The function returned the status {status!r}; known are {', '.join(STATUSES)}")
    known = cast("Status", status)
    if status != "succeeded":
        message = output if isinstance(output, str) else msgspec.json.encode(output).decode()
        return FunctionReply(status=known, message=_plain(message[:LONGEST_MESSAGE]))
    if not isinstance(output, dict):
        return _invalid(f"The function must return a dict, not {type(output).__name__}")
    try:
        encoded = msgspec.json.encode(output)
        plain = msgspec.json.decode(encoded)
    except (TypeError, ValueError, RecursionError) as error:
        return _invalid(f"What the function returned cannot be written as JSON: {error}")
    if len(encoded) > OUTPUT_BYTES:
        return _invalid(f"What the function returned is larger than {OUTPUT_BYTES} bytes")
    if has_nul(encoded):
        return _invalid("What the function returned has a character 0 in a text")
    return FunctionReply(status="succeeded", output=plain)


def _invalid(message: str) -> FunctionReply:
    return FunctionReply(status="failed", message=_plain(message[:LONGEST_MESSAGE]), error=INVALID_RESULT)


def _plain(text: str) -> str:
    """Return a text that Postgres stores."""
    return text.replace("\0", "?").encode(errors="replace").decode().strip()


def main() -> None:
    """Fork for the parent on the socket whose descriptor is the first argument, until it goes."""
    serve_forks(socket.socket(fileno=int(sys.argv[1])), serve_function, Sandbox(FUNCTION))


if __name__ == "__main__":
    main()
