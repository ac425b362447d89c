"""A filter decides as its rules say, on both machines: its program is run here as the kernel runs it."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import socket
import struct

import pytest

from pagemill.sandbox.seccomp import ALLOW, KILL, OWN_PROCESS, Check, Rule, compile_filter, refuse
from pagemill.sandbox.system_call_policy import function_filter, parser_filter
from pagemill.sandbox.system_calls import ARCHITECTURES, SYSTEM_CALLS, Architecture, number_of

MACHINES = list(ARCHITECTURES.values())
OWN, OTHER = OWN_PROCESS, 4712
REFUSED, NOT_THERE = refuse(errno.EPERM), refuse(errno.EACCES)
READING, WRITING = os.O_RDONLY | os.O_CLOEXEC, os.O_RDONLY | os.O_CREAT


def run(program: bytes, number: int, audit: int, arguments: tuple[int, ...] = ()) -> int:
    """Run a program of the packet filter on a system call, and return its action."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<iIQ6Q", number, audit, 0, *(one & 0xFFFFFFFFFFFFFFFF for one in padded))
    accumulator, at = 0, 0
    while True:
        code, jump_if, jump_else, value = struct.unpack_from("HBBI", program, 8 * at)
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x05:
                at += value
            case 0x15:
                at += jump_if if accumulator == value else jump_else
            case 0x35:
                at += jump_if if accumulator >= value else jump_else
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"no instruction of ours: {code:#x}")


@pytest.fixture(params=MACHINES, ids=lambda one: one.name)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Architecture:
    found: Architecture = request.param
    monkeypatch.setattr("pagemill.sandbox.seccomp.architecture", lambda: found)
    return found


def action(made: bytes, machine: Architecture, call: str, *arguments: int) -> int | None:
    number = number_of(call, machine)
    return None if number is None else run(made, number, machine.audit, arguments)


def test_rules_choose_by_arguments(machine: Architecture) -> None:
    rules = [
        Rule(
            "read", ALLOW, (Check(0, (1, 2, 3)), Check(1, (0x10,), 0xF0), Check(2, (7,), half=1)), NOT_THERE
        ),
        Rule("write", REFUSED),
    ]
    program = compile_filter(rules, KILL)
    read, write, close = (number_of(one, machine) or 0 for one in ("read", "write", "close"))
    for arguments, expected in [
        ((2, 0x1F, 7 << 32), ALLOW),
        ((3, 0x11, 7 << 32 | 1), ALLOW),
        ((4, 0x1F, 7 << 32), NOT_THERE),
        ((2, 0x2F, 7 << 32), NOT_THERE),
        ((2, 0x1F, 7), NOT_THERE),
    ]:
        assert run(program, read, machine.audit, arguments) == expected
    assert run(program, write, machine.audit) == REFUSED
    assert run(program, close, machine.audit) == KILL


def test_calls_of_another_kind_of_machine_end_the_process(machine: Architecture) -> None:
    program = compile_filter([], ALLOW)
    assert run(program, 1, machine.audit) == ALLOW
    # 32 bits: other numbers for the same calls.
    assert run(program, 1, 0x40000003) == KILL
    assert run(program, 0x40000001, machine.audit) == KILL


@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("read", (), ALLOW),
        ("openat", (0, 0, READING), ALLOW),
        ("openat", (0, 0, WRITING), NOT_THERE),
        ("openat", (0, 0, os.O_RDWR), NOT_THERE),
        ("openat", (0, 0, os.O_WRONLY | os.O_APPEND), NOT_THERE),
        ("openat", (0, 0, os.O_RDONLY | os.O_TRUNC), NOT_THERE),
        ("openat", (0, 0, 0x400000), NOT_THERE),
        ("open", (0, READING), ALLOW),
        ("open", (0, WRITING), NOT_THERE),
        ("kill", (OWN, signal.SIGABRT), ALLOW),
        ("kill", (OTHER, 0), REFUSED),
        ("kill", (-OWN, 0), REFUSED),
        ("tgkill", (OWN, OWN, 6), ALLOW),
        ("mmap", (0, 1, mmap.PROT_READ | mmap.PROT_WRITE), ALLOW),
        ("mmap", (0, 1, mmap.PROT_READ | mmap.PROT_EXEC), NOT_THERE),
        ("mprotect", (0, 1, mmap.PROT_EXEC), NOT_THERE),
        ("prlimit64", (0, 7, 0, 1), ALLOW),
        ("prlimit64", (0, 7, 1 << 40, 1), REFUSED),
        ("prlimit64", (OTHER, 7, 0, 1), REFUSED),
        ("newfstatat", (3, 0, 0, 0x1000), ALLOW),
        ("newfstatat", (3, 0, 0, 0), NOT_THERE),
        ("clone", (0,), REFUSED),
        ("socket", (socket.AF_INET, socket.SOCK_STREAM), KILL),
        ("execve", (), KILL),
        ("ptrace", (), KILL),
    ],
)
def test_parsers(machine: Architecture, call: str, arguments: tuple[int, ...], expected: int) -> None:
    found = action(parser_filter(files=True, network=False), machine, call, *arguments)
    assert found in (expected, None)


def test_parsers_open_nothing_where_landlock_does_not_guard_files(machine: Architecture) -> None:
    made = parser_filter(files=False, network=False)
    assert action(made, machine, "openat", 0, 0, READING) == NOT_THERE
    assert action(made, machine, "open", 0, READING) in (NOT_THERE, None)


def test_name_servers_are_asked_and_nobody_else(machine: Architecture) -> None:
    made = parser_filter(files=True, network=True)
    assert action(made, machine, "socket", socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) == ALLOW
    assert action(made, machine, "socket", socket.AF_INET6, socket.SOCK_STREAM) == ALLOW
    assert action(made, machine, "connect") == ALLOW
    assert action(made, machine, "socket", socket.AF_INET, socket.SOCK_RAW) == KILL
    assert action(made, machine, "socket", socket.AF_UNIX, socket.SOCK_STREAM) == KILL
    assert action(made, machine, "listen") == KILL
    assert action(made, machine, "execve") == KILL


def test_functions_stay_out_of_other_processes_and_the_kernel(machine: Architecture) -> None:
    made = function_filter()
    for call in ("ptrace", "process_vm_readv", "bpf", "mount", "unshare", "io_uring_setup", "keyctl"):
        assert action(made, machine, call) == REFUSED
    assert action(made, machine, "execve") == ALLOW
    assert action(made, machine, "socket", socket.AF_INET, socket.SOCK_STREAM) == ALLOW
    assert action(made, machine, "clone", 0x11) == ALLOW
    assert action(made, machine, "clone", 0x10000011) == REFUSED
    assert action(made, machine, "clone3") == refuse(errno.ENOSYS)


def test_each_number_is_of_one_call(machine: Architecture) -> None:
    numbers = [number for call in SYSTEM_CALLS if (number := number_of(call, machine)) is not None]
    assert len(set(numbers)) == len(numbers)


def test_a_filter_fits_into_the_kernel() -> None:
    for made in (parser_filter(files=True, network=True), function_filter()):
        assert len(made) // 8 < 4096  # BPF_MAXINSNS
