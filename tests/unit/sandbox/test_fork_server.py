"""A fork server forks children that end with it, and tells how each has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import psutil
import pytest

from pagemill.sandbox import child_process, forked_child
from pagemill.sandbox.forked_child import ForkedChild, ForkServer
from tests.support.processes import eventually, wait_until_gone

# Its children do what the first bytes say.
PROGRAM = """
import os, signal, socket, sys
from pagemill.sandbox.confinement import Sandbox
from pagemill.sandbox.fork_server import serve_forks
from pagemill.sandbox.profile import Profile
state = []
def serve(connection, descriptors, sandbox):
    wish = connection.recv(100)
    if wish == b"state":
        state.append(1)
        connection.sendall(str(len(state)).encode())
    if wish == b"descriptors": connection.sendall(b",".join(os.pread(one, 9, 0) for one in descriptors))
    if wish == b"opened": connection.sendall(repr(sorted(os.listdir("/dev/fd"))).encode())
    if wish == b"error": raise RuntimeError
    if wish == b"abort": os.abort()
    if wish == b"exit": os._exit(7)
    if wish == b"listen":
        connection.sendall(b"listening")
        os._exit(7 if connection.recv(100) == b"" else 8)
    if wish == b"work": [x for x in range(3_000_000)]
    if wish == b"wait":
        connection.sendall(b"waiting")
        signal.pause()
serve_forks(socket.socket(fileno=int(sys.argv[1])), serve, Sandbox(Profile(means=frozenset())))
"""
# Its memory is full of small holes; a child tells how many pages it touches to allocate more than they hold.
PROGRAM_WITH_HOLES = """
import ctypes, gc, resource, socket, sys
from pagemill.sandbox.confinement import Sandbox
from pagemill.sandbox.fork_server import serve_forks
from pagemill.sandbox.profile import Profile
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
pieces = [libc.malloc(100) for _ in range(16_000)]
for piece in pieces[::2]: libc.free(piece)
def touched(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def serve(connection, descriptors, sandbox):
    connection.recv(100)
    touched(), libc.malloc(1)
    before = touched()
    libc.malloc(5000)
    connection.sendall(f"{touched() - before} {gc.get_freeze_count()}".encode())
serve_forks(socket.socket(fileno=int(sys.argv[1])), serve, Sandbox(Profile(means=frozenset())))
"""
DEADLINE_SECONDS = 60.0


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        child_process,
        "child_command",
        lambda module, descriptor: [sys.executable, "-c", module, str(descriptor)],
    )


@pytest.fixture
def server() -> Iterator[ForkServer]:
    server = ForkServer(PROGRAM, start_seconds=DEADLINE_SECONDS)
    yield server
    server.end()


def ask(child: ForkedChild, wish: bytes) -> bytes:
    child.connection.settimeout(DEADLINE_SECONDS)
    child.connection.sendall(wish)
    return child.connection.recv(1000)


def ended_by_itself(child: ForkedChild) -> int:
    """Status of a child that has done its work: it is killed when it is asked for before it has exited."""
    assert child.connection.recv(1) == b""
    return child.end().status


def test_no_child_sees_the_state_of_another(server: ForkServer) -> None:
    children = [server.fork() for _ in range(3)]
    assert [ask(child, b"state") for child in children] == [b"1"] * 3
    assert len({child.process_id for child in children}) == 3
    assert {psutil.Process(child.process_id).ppid() for child in children} == {server.process_id}
    assert [ended_by_itself(child) for child in children] == [0, 0, 0]


def test_a_child_does_not_tidy_the_memory_of_the_server() -> None:
    server = ForkServer(PROGRAM_WITH_HOLES, start_seconds=DEADLINE_SECONDS)
    child = server.fork()
    touched, frozen = ask(child, b"tell").split()
    child.end()
    server.end()
    # The holes are spread over four hundred pages.
    assert int(touched) < 50
    assert int(frozen) > 1000


@pytest.mark.parametrize(
    ("wish", "status"), [(b"error", 1), (b"abort", -signal.SIGABRT), (b"exit", 7), (b"nothing", 0)]
)
def test_the_status_of_a_child_that_ended_is_known(server: ForkServer, wish: bytes, status: int) -> None:
    child = server.fork()
    assert ask(child, wish) == b""
    assert child.end().status == status
    assert child.end().status == status
    assert not psutil.pid_exists(child.process_id)


def test_a_child_that_runs_is_killed(server: ForkServer) -> None:
    child = server.fork()
    assert ask(child, b"wait") == b"waiting"
    assert child.end().status == -signal.SIGKILL
    assert not psutil.pid_exists(child.process_id)


def test_a_child_that_waits_is_killed_before_it_learns_that_nobody_listens(server: ForkServer) -> None:
    child = server.fork()
    assert ask(child, b"listen") == b"listening"
    assert child.end().status == -signal.SIGKILL
    assert child.connection.fileno() == -1


def test_a_child_that_ended_keeps_its_process_id_until_it_is_asked_for(server: ForkServer) -> None:
    child = server.fork()
    ask(child, b"exit")
    eventually(
        psutil.Process(child.process_id).status,
        lambda status: status == psutil.STATUS_ZOMBIE,
        seconds=DEADLINE_SECONDS,
        pause=0.01,
    )
    others = [server.fork() for _ in range(20)]
    assert child.process_id not in {other.process_id for other in others}
    assert child.end().status == 7
    for other in others:
        other.end()


def test_the_processor_seconds_of_a_child_are_its_own(server: ForkServer) -> None:
    busy, idle = server.fork(), server.fork()
    ask(busy, b"work")
    ask(idle, b"nothing")
    used = busy.end().processor_seconds
    assert 0.02 < used < DEADLINE_SECONDS
    assert idle.end().processor_seconds < used / 2


def test_a_child_gets_its_descriptors_and_no_others(server: ForkServer) -> None:
    waiting = server.fork()
    with tempfile.TemporaryFile() as first, tempfile.TemporaryFile() as second:
        for file, text in ((first, b"one"), (second, b"two")):
            file.write(text)
            file.flush()
        child = server.fork([first.fileno(), second.fileno()])
        assert ask(child, b"descriptors") == b"one,two"
    plain, counted = server.fork(), server.fork()
    # Standard streams, its connection, and the directory that is listed.
    assert len(ask(plain, b"opened").split(b",")) == len(ask(counted, b"opened").split(b",")) == 5
    for one in (waiting, child, plain, counted):
        one.end()


def test_children_end_with_their_server(server: ForkServer) -> None:
    child = server.fork()
    assert ask(child, b"wait") == b"waiting"
    os.kill(server.process_id, signal.SIGKILL)
    wait_until_gone(child.process_id)
    with pytest.raises(OSError, match="the fork server has failed"):
        child.end()
    with pytest.raises(OSError):
        server.fork()
    assert not server.is_running()


def test_a_stopped_child_ends_with_its_server(server: ForkServer) -> None:
    child = server.fork()
    assert ask(child, b"wait") == b"waiting"
    os.kill(child.process_id, signal.SIGSTOP)
    server.end()
    wait_until_gone(child.process_id)
    child.connection.close()


def test_everything_ends_with_a_parent_that_is_killed() -> None:
    script = (
        "import os, signal, sys\n"
        "from pagemill.sandbox import child_process\n"
        "from pagemill.sandbox.forked_child import ForkServer\n"
        "child_process.child_command = lambda module, at: [sys.executable, '-c', module, str(at)]\n"
        "server = ForkServer(sys.stdin.read(), start_seconds=60)\n"
        "child = server.fork()\n"
        "child.connection.sendall(b'wait')\n"
        "print(server.process_id, child.process_id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", script], input=PROGRAM, text=True, capture_output=True, check=False
    )
    process_ids = [int(one) for one in parent.stdout.split()]
    assert len(process_ids) == 2
    wait_until_gone(*process_ids)


def test_a_server_that_does_not_start_says_how_it_ended() -> None:
    with pytest.raises(OSError, match="it ended with status 3"):
        ForkServer("import sys; sys.exit(3)", start_seconds=DEADLINE_SECONDS)


def test_a_server_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked_child, "CLOSING_SECONDS", 0.1)
    with pytest.raises(OSError, match="it was stopped"):
        ForkServer("import time; time.sleep(60)", start_seconds=0.1)


def test_a_server_that_stops_answering_is_ended(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    os.kill(server.process_id, signal.SIGSTOP)
    server._process.connection.settimeout(0.1)
    with pytest.raises(OSError, match="the fork server has failed"):
        server.fork()
    assert not server.is_running()


def test_a_child_that_could_not_be_forked_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import os\ndef fork(): raise BlockingIOError\nos.fork = fork\n" + PROGRAM
    server = ForkServer(program, start_seconds=DEADLINE_SECONDS)
    try:
        with pytest.raises(OSError, match="no child could be forked"):
            server.fork()
        assert server.is_running()
    finally:
        server.end()
