"""Each means is a wall of its own, and what a kernel lacks is told."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pagemill.errors import DocumentUnreadable, Unavailable
from pagemill.extraction.reading import PageReader
from pagemill.extraction.reading import reader as reader_module
from pagemill.sandbox import child_process
from pagemill.sandbox.forked_child import ForkedChild, ForkServer
from pagemill.sandbox.framing import receive_message
from pagemill.sandbox.means import ESSENTIAL, Confinement, Means
from pagemill.sandbox.probe import confinement_here
from tests.support.processes import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux confines children like this")

ROOT = Path(__file__).parents[3]
# A fork server whose children have some means only, and run what they are sent.
WITH_MEANS = """
import socket, sys
from pagemill.sandbox.confinement import Sandbox
from pagemill.sandbox.fork_server import serve_forks
from pagemill.sandbox.framing import send_message
from pagemill.sandbox.means import Means
from pagemill.sandbox.profile import Profile
from tests.support.attacks.code import run_attack
def serve(connection, descriptors, sandbox):
    code = connection.recv(10_000)
    sandbox.enter(2**32)
    send_message(connection, run_attack(code).encode())
sandbox = Sandbox(Profile(means=frozenset({MEANS})))
serve_forks(socket.socket(fileno=int(sys.argv[1])), serve, sandbox)
"""
# As on a kernel that was built without Landlock: what asks for it is told that there is no such call.
WITHOUT_LANDLOCK = """
import errno, sys
from pagemill.sandbox import kernel
from pagemill.sandbox.seccomp import ALLOW, Filter, Rule, compile_filter, refuse
kernel.no_new_privileges()
Filter(compile_filter([Rule("landlock_create_ruleset", refuse(errno.ENOSYS))], ALLOW)).install()
"""


def attacked(monkeypatch: pytest.MonkeyPatch, means: set[Means], code: str) -> tuple[Confinement, str]:
    """Run a program in a child with these means; return what the server found, and the result."""
    names = ", ".join(f"Means.{one.name}" for one in means)
    program = WITH_MEANS.replace("{MEANS}", f"{{{names}}}" if names else "set()")
    monkeypatch.setattr(
        child_process,
        "child_command",
        lambda _, descriptor: [
            sys.executable,
            "-c",
            f"import sys\nsys.path[:0] = {[str(ROOT)]!r}\n{program}",
            str(descriptor),
        ],
    )
    server = ForkServer("unused", start_seconds=PATIENCE_SECONDS)
    child = server.fork()
    try:
        child.connection.settimeout(PATIENCE_SECONDS)
        child.connection.sendall(code.encode())
        return server.confinement, receive_message(child.connection).decode()
    except EOFError:
        return server.confinement, f"status {child.end().status}"
    finally:
        child.end()
        server.end()


READ_USERS = "len(open('/etc/passwd').read()) > 0"


@pytest.mark.parametrize(
    ("means", "code", "found"),
    [
        (set(), READ_USERS, "True"),
        ({Means.FILES}, READ_USERS, "EACCES"),
        ({Means.SYSTEM_CALLS}, READ_USERS, "EACCES"),
        ({Means.SYSTEM_CALLS}, "socket.socket()", "status -31"),
        ({Means.OTHER_USER}, "open('/etc/shadow').read()", "EACCES"),
        ({Means.OTHER_USER}, "os.kill(os.getppid(), 0)", "EPERM"),
        ({Means.NO_NETWORK}, "socket.create_connection(('192.0.2.1', 9))", "ENETUNREACH"),
    ],
)
def test_each_means_is_a_wall_of_its_own(
    monkeypatch: pytest.MonkeyPatch, means: set[Means], code: str, found: str
) -> None:
    # Landlock asks for it.
    confinement, result = attacked(monkeypatch, means | {Means.NO_NEW_PRIVILEGES}, code)
    if confinement.missing:
        pytest.skip(f"this kernel or user lacks {confinement.missing}")
    assert result == found


def test_a_server_tells_what_this_machine_has() -> None:
    found = confinement_here()
    assert found.means | found.missing == frozenset(Means)
    assert found.in_words().startswith("no new privileges")


def without_landlock(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"{WITHOUT_LANDLOCK}\n{script}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=4 * PATIENCE_SECONDS,
    )


def test_without_landlock_nothing_is_opened_and_the_log_says_so() -> None:
    script = """
import logging
logging.basicConfig(format="%(levelname)s %(message)s")
from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading import PageReader, reader as module
module.ZYGOTE = "tests.support.attacks.attacked_reading"
with PageReader(recognizer=object()) as reader:
    for code in (b"open('/etc/passwd').read()", b"os.listdir('/usr/share/fonts')"):
        try: reader.inspect(code)
        except DocumentUnreadable as error: print(error.message)
"""
    done = without_landlock(script)
    assert done.stdout.split() == ["EACCES", "EACCES"]
    [line] = done.stderr.splitlines()
    assert line.startswith(
        "WARNING the sandbox of tests.support.attacks.attacked_reading has no new privileges"
    )
    assert line.endswith("the kernel or the user lacks Landlock")


def test_without_landlock_pages_are_drawn_with_fonts_that_need_no_files() -> None:
    script = """
from pagemill.extraction.reading import PageReader
from pagemill.extraction.types import ReadOptions
from tests.unit.extraction import documents
with PageReader(recognizer=object()) as reader:
    print(*(word.text for word in reader.read(documents.text_pdf(), [0], ReadOptions()).pages[0].words))
"""
    assert without_landlock(script).stdout.split()


def test_a_strict_reader_is_not_available_without_landlock() -> None:
    script = """
from pagemill.errors import Unavailable
from pagemill.extraction.reading import PageReader
from tests.unit.extraction import documents
with PageReader(recognizer=object(), strict=True) as reader:
    try: reader.inspect(documents.text_pdf())
    except Unavailable as error: print(error.detail)
"""
    assert "the sandbox lacks Landlock, and PAGEMILL_SANDBOX requires it" in without_landlock(script).stdout


def test_a_strict_reader_reads_where_nothing_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    from tests.unit.extraction import documents

    caplog.set_level(logging.INFO)
    with PageReader(recognizer=object(), strict=True) as reader:  # type: ignore[arg-type]
        if confinement_here().missing & ESSENTIAL:
            with pytest.raises(Unavailable):
                reader.inspect(documents.text_pdf())
            return
        assert reader.inspect(documents.text_pdf()).number_of_pages == 1
    assert "the sandbox of pagemill.extraction.reading.zygote has no new privileges, seccomp" in caplog.text


def test_a_neighbour_cannot_be_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[ForkedChild] = []
    forked = threading.Event()
    fork = ForkServer.fork

    def noted(server: ForkServer, descriptors: object) -> ForkedChild:
        children.append(fork(server, descriptors))  # type: ignore[arg-type]
        forked.set()
        return children[-1]

    monkeypatch.setattr(ForkServer, "fork", noted)
    monkeypatch.setattr(reader_module, "ZYGOTE", "tests.support.attacks.attacked_reading")
    monkeypatch.syspath_prepend(ROOT)
    with PageReader(recognizer=object()) as reader:  # type: ignore[arg-type]
        neighbour = threading.Thread(
            target=tell, args=(reader, "secret = 'of another organization'\ntime.sleep(600)")
        )
        neighbour.start()
        assert forked.wait(PATIENCE_SECONDS)
        process_id = children[0].process_id
        results = [
            tell(reader, code.replace("{neighbour}", str(process_id)))
            for code in (
                "open('/proc/{neighbour}/mem', 'rb').read(1)",
                "os.listdir('/proc/{neighbour}/fd')",
                "open('/proc/{neighbour}/maps').read()",
                "os.kill({neighbour}, signal.SIGKILL)",
                "call('ptrace', 16, {neighbour}, 0, 0)",
                "call('process_vm_readv', {neighbour}, bytes(16), 1, bytes(16), 1, 0)",
            )
        ]
        status = eventually(
            lambda: Path(f"/proc/{process_id}/status").read_text().split(),
            lambda told: told[told.index("Seccomp:") + 1] == "2",
            seconds=PATIENCE_SECONDS,
            pause=0.01,
        )
        os.kill(process_id, 9)
        neighbour.join(PATIENCE_SECONDS)
    killed = "its reader failed: it asked the kernel for what its sandbox forbids (SIGSYS)"
    assert results == ["EACCES", "EACCES", "EACCES", "EPERM", killed, killed]
    assert len({child.process_id for child in children}) == 7
    held = {
        name: status[status.index(name) + 1] for name in ("CapEff:", "NoNewPrivs:", "Seccomp:", "Threads:")
    }
    assert held == {"CapEff:": "0" * 16, "NoNewPrivs:": "1", "Seccomp:": "2", "Threads:": "1"}


def tell(reader: PageReader, code: str) -> str:
    """Have a child run a program in place of its document, and return what became of it."""
    with pytest.raises(DocumentUnreadable) as ended:
        reader.inspect(code.encode())
    return ended.value.detail or ended.value.message
