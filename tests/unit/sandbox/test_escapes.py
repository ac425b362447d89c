"""An exploited parser finds nothing: each attack runs in a real sandboxed child, and fails.

Each kind of child is attacked, started by root and by a user without any privilege.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pagemill.sandbox.means import ESSENTIAL
from pagemill.sandbox.own_user import FIRST_USER
from tests.support.attacks.attacker import Order, Outcomes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux confines children like this")

ROOT = Path(__file__).parents[3]
SECRET = "a-key-that-only-the-parent-has"
KILLED = "it asked the kernel for what its sandbox forbids (SIGSYS)"
NOBODY_SPECIAL = "61234"
# What lets a Python that only root can reach start, and nothing else; children give that up as well.
UNPRIVILEGED = [
    *("setpriv", f"--reuid={NOBODY_SPECIAL}", f"--regid={NOBODY_SPECIAL}", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
    *("--bounding-set=-all,+dac_read_search", "--"),
]
# Each program's last line is what it found; the result is what the kernel has to answer.
ATTACKS: dict[str, tuple[str, str]] = {
    # Secrets of others.
    "environment-of-the-parent": ("open('/proc/{parent}/environ').read()", "EACCES"),
    "memory-of-the-parent": ("open('/proc/{parent}/mem').read()", "EACCES"),
    "environment-of-the-server": ("open(f'/proc/{os.getppid()}/environ').read()", "EACCES"),
    "own-environment": ("open('/proc/self/environ').read()", "EACCES"),
    "documents-before": ("SEEN.append(1)\nlen(SEEN)", "1"),
    "documents-before-again": ("SEEN.append(1)\nlen(SEEN)", "1"),
    # Files.
    "read-users": ("open('/etc/passwd').read()", "EACCES"),
    "read-data": (f"open({str(ROOT / 'pyproject.toml')!r}).read()", "EACCES"),
    "read-upwards": ("open('/usr/share/fonts/../../../etc/passwd').read()", "EACCES"),
    "list-root": ("os.listdir('/')", "EACCES"),
    "list-processes": ("os.listdir('/proc')", "EACCES"),
    "look-for-a-file": ("os.stat('/etc/passwd')", "EACCES"),
    "create": ("os.open('/tmp/created', os.O_CREAT | os.O_WRONLY)", "EACCES"),
    "create-without-a-name": ("os.open('/tmp', os.O_TMPFILE | os.O_WRONLY)", "EACCES"),
    "write-a-font": ("os.open('/usr/share/fonts/x', os.O_CREAT | os.O_RDWR)", "EACCES"),
    "truncate": ("os.truncate('/tmp', 0)", "EPERM"),
    "make-a-directory": ("os.mkdir('/tmp/made')", "EPERM"),
    "remove": ("os.unlink('/tmp/created')", "EPERM"),
    "rename": ("os.rename('/tmp/created', '/tmp/other')", "EPERM"),
    "link": ("os.symlink('/etc/passwd', '/tmp/link')", "EPERM"),
    "change-the-root": ("call('chroot', b'/tmp')", KILLED),
    "make-memory-of-a-name": ("os.memfd_create('code')", "EPERM"),
    # The network.
    "internet": ("socket.socket()", KILLED),
    "internet-6": ("socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)", KILLED),
    "local-socket": ("socket.socket(socket.AF_UNIX)", KILLED),
    "abstract-socket": ("socket.socket(socket.AF_UNIX).connect('\\0/tmp/.X11-unix/X0')", KILLED),
    "netlink": ("call('socket', 16, 3, 0)", KILLED),
    "pair": ("socket.socketpair()", KILLED),
    "connect": ("call('connect', 0, bytes(16), 16)", KILLED),
    # Programs and processes.
    "program": ("os.execv('/bin/true', ['true'])", KILLED),
    "program-by-descriptor": ("call('execveat', 0, b'', 0, 0, 0x1000)", KILLED),
    "shell": ("subprocess.run(['/bin/true'])", "EPERM"),
    "fork": ("os.fork()", "EPERM"),
    "fork-by-its-old-name": ("call('vfork')", KILLED),
    "thread": ("threading.Thread(target=print).start()", "RuntimeError: can't start new thread"),
    "clone-3": ("call('clone3', bytes(88), 88)", "EPERM"),
    "signal-to-the-server": ("os.kill(os.getppid(), 0)", "EPERM"),
    "signal-to-the-parent": ("os.kill({parent}, signal.SIGKILL)", "EPERM"),
    "signal-to-all": ("os.kill(-1, signal.SIGKILL)", "EPERM"),
    "signal-to-the-group": ("os.kill(0, signal.SIGKILL)", "EPERM"),
    "signal-by-descriptor": ("call('pidfd_open', {parent}, 0)", KILLED),
    "trace": ("call('ptrace', 16, {parent}, 0, 0)", KILLED),
    "read-memory": ("call('process_vm_readv', {parent}, bytes(16), 1, bytes(16), 1, 0)", KILLED),
    "write-memory": ("call('process_vm_writev', {parent}, bytes(16), 1, bytes(16), 1, 0)", KILLED),
    # The kernel.
    "namespaces": ("call('unshare', 0x10000000)", KILLED),
    "another-network": ("call('setns', 0, 0x40000000)", KILLED),
    "asynchronous-calls": ("call('io_uring_setup', 8, bytes(120))", KILLED),
    "packet-filters": ("call('bpf', 0, bytes(64), 64)", KILLED),
    "keys": ("call('keyctl', 0, -3, 0)", KILLED),
    "performance": ("call('perf_event_open', bytes(112), 0, -1, -1, 0)", KILLED),
    "faults": ("call('userfaultfd', 0)", KILLED),
    "mount": ("call('mount', b'none', b'/tmp', b'tmpfs', 0, 0)", KILLED),
    "another-filter": ("call('seccomp', 1, 0, bytes(16))", KILLED),
    "capabilities": ("call('capset', bytes(8), bytes(24))", KILLED),
    # Bounds.
    "become-root": ("os.setuid(0)", "EPERM"),
    "change-a-limit": ("call('prlimit64', 0, int(resource.RLIMIT_NOFILE), bytes(16), 0)", "EPERM"),
    "new-code": ("mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)", "EACCES"),
    "changed-code": (
        "area = ctypes.c_char.from_buffer(mmap.mmap(-1, 4096))\n"
        "call('mprotect', ctypes.addressof(area), 4096, 5)",
        "EACCES",
    ),
    "descriptors": ("held = []\nfor _ in range(32): held.append(os.dup(0))\nheld", "EMFILE"),
    "processes": ("resource.getrlimit(resource.RLIMIT_NPROC)", "(0, 0)"),
    "sizes-of-files": ("resource.getrlimit(resource.RLIMIT_FSIZE)", "(0, 0)"),
    "memory": ("len(bytearray(1 << 34))", "MemoryError: "),
    # What it needs goes on.
    "own-signal": ("os.kill(os.getpid(), 0)", "None"),
    "time": ("time.sleep(0.01)", "None"),
    "working-memory": ("len(bytearray(1 << 26))", str(1 << 26)),
    "secrets-by-name": (
        "sorted(name for name in os.environ if 'SECRET' in name or 'PAGEMILL' in name)",
        "[]",
    ),
}


# Replies are bounded by the parent, which then gives up: in the words of each kind.
TOO_LARGE_A_REPLY = "connection().sendall(b'\\xff\\xff\\xff\\xff')\ntime.sleep(600)"
GIVEN_UP = {
    "reading": "MessageTooLarge",
    "rendering": "The document is damaged: its renderer sent an invalid reply",
    "mail": "its reader failed: it ended with SIGKILL",
}
BESIDE = {"too-large-a-reply": TOO_LARGE_A_REPLY, "user": "os.getuid(), os.getgid()"}


@pytest.fixture(scope="module", params=["root", "unprivileged"])
def user(request: pytest.FixtureRequest) -> list[str]:
    """The beginning of the command of a process of this user."""
    if os.geteuid() != 0:
        if request.param == "root":
            pytest.skip("only root starts children as root")
        return []
    if request.param == "root":
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not here")
    return UNPRIVILEGED


@pytest.fixture(scope="module", params=["reading", "rendering", "mail"])
def outcomes(request: pytest.FixtureRequest, user: list[str]) -> Outcomes:
    order = Order(request.param, {name: code for name, (code, _) in ATTACKS.items()} | BESIDE)
    done = subprocess.run(
        [*user, sys.executable, "-m", "tests.support.attacks.attacker"],
        input=msgspec.json.encode(order),
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PAGEMILL_SECRET": SECRET, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr.decode()
    found = msgspec.json.decode(done.stdout, type=Outcomes)
    if ESSENTIAL & set(found.missing):
        pytest.skip(f"this kernel lacks {', '.join(found.missing)}")
    return found


def test_each_attack_fails_and_is_the_failure_of_its_document_alone(outcomes: Outcomes) -> None:
    results = {
        name: one.rpartition("failed: ")[2] for name, one in outcomes.results.items() if name in ATTACKS
    }
    assert results == {name: expected for name, (_, expected) in ATTACKS.items()}


def test_a_reply_is_bounded(outcomes: Outcomes) -> None:
    assert outcomes.results["too-large-a-reply"] == GIVEN_UP[outcomes.sandboxed]


def test_a_child_of_root_is_nobody_else(outcomes: Outcomes, user: list[str]) -> None:
    own, group = ast.literal_eval(outcomes.results["user"])
    if user or os.geteuid() != 0:
        assert own != 0
    else:
        assert own == group > FIRST_USER


def test_the_server_was_executed_without_a_secret_in_its_environment(outcomes: Outcomes) -> None:
    assert SECRET not in outcomes.environment
    names = {one.partition("=")[0] for one in outcomes.environment.split("\0") if one}
    assert names <= {"GLIBC_TUNABLES", "LD_LIBRARY_PATH"}


def test_children_have_no_network(outcomes: Outcomes) -> None:
    # Mail's ask name servers, where that is wanted: the filter of system calls keeps the others from it.
    assert outcomes.own_network or "no network" in outcomes.missing or outcomes.sandboxed == "mail"
