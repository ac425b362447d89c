"""Filters of system calls (seccomp): programs of the kernel's packet filter, made without libseccomp."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from pagemill.sandbox import kernel
from pagemill.sandbox.system_calls import Architecture, architecture, number_of

# linux/seccomp.h
ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
_REFUSE: Final = 0x00050000
_SET_MODE_FILTER: Final = 1
# Without it, kernels before 5.16 slow down all code of the process, which has nobody's secrets to guard.
_SPECULATION_ALLOWED: Final = 4

# Offsets in struct seccomp_data; arguments have their low half first.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
# linux/bpf_common.h
_LOAD, _MASK, _JUMP, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06
_LONGEST_JUMP: Final = 255
# System calls of x86-64 with pointers of 32 bits have numbers from here on.
_X32: Final = 0x40000000
_INSTRUCTION: Final = struct.Struct("HBBI")
_PROGRAM: Final = struct.Struct("HxxxxxxQ")

OWN_PROCESS: Final = 0x5A5A5A5A
"""Value that no process id has; a child puts its own in its place."""
_NUMBER_IN_PROGRAM: Final = struct.Struct("I")
_OWN_PROCESS_BYTES: Final = _NUMBER_IN_PROGRAM.pack(OWN_PROCESS)
_VALUE: Final = 4
"""Offset of an instruction's number."""

Instruction = tuple[int, int, int, int]
Range = tuple[int, list[Instruction]]
"""The first of some numbers of system calls, and what is done about them."""


def refuse(number: int) -> int:
    """Return the action that lets a system call fail with an error number."""
    return _REFUSE | number


class Check(NamedTuple):
    """Condition on an argument: the bits of one half of it that ``mask`` selects are one of ``values``."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    half: int = 0


class Rule(NamedTuple):
    """Action for a system call if all checks hold, and another if one does not."""

    call: str
    action: int
    checks: tuple[Check, ...] = ()
    otherwise: int = KILL


def compile_filter(rules: Iterable[Rule], default: int, machine: Architecture | None = None) -> bytes:
    """Return the program for rules, the first one of each call; all other calls have the default action.

    Raises OSError on machines whose numbers are not known.
    """
    machine = machine or architecture()
    bodies: dict[int, list[Instruction]] = {}
    for rule in rules:
        number = number_of(rule.call, machine)
        if number is not None:
            bodies.setdefault(number, _body(rule))
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER),
        *_search(_ranges(bodies, [(_RETURN, 0, 0, default)])),
    ]
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)


def _ranges(bodies: Mapping[int, list[Instruction]], default: list[Instruction]) -> list[Range]:
    """Return all numbers in their order, as ranges whose neighbours differ."""
    edges = sorted({0, _X32, *bodies, *(number + 1 for number in bodies)})
    ranges: list[Range] = []
    for first in edges:
        body = [(_RETURN, 0, 0, KILL)] if first >= _X32 else bodies.get(first, default)
        if not ranges or ranges[-1][1] != body:
            ranges.append((first, body))
    return ranges


def _search(ranges: Sequence[Range]) -> list[Instruction]:
    """Return a search for the range of the loaded number by halves.

    The kernel follows a program for each number when it takes it: that takes longer than all else about it.
    """
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    low, high = _search(ranges[:middle]), _search(ranges[middle:])
    first = ranges[middle][0]
    if len(low) <= _LONGEST_JUMP:
        return [(_IF_AT_LEAST, len(low), 0, first), *low, *high]
    return [(_IF_AT_LEAST, 0, 1, first), (_JUMP, 0, 0, len(low)), *low, *high]


def _body(rule: Rule) -> list[Instruction]:
    """Return what is done about a call whose number has been found."""
    body: list[Instruction] = []
    for check in rule.checks:
        offset = _ARGUMENTS + 8 * check.argument + 4 * check.half
        body += [(_LOAD, 0, 0, offset), (_MASK, 0, 0, check.mask), *_if_one_of(check.values, rule.otherwise)]
    return [*body, (_RETURN, 0, 0, rule.action)]


def _if_one_of(values: Sequence[int], otherwise: int) -> list[Instruction]:
    """Return what goes on behind itself if the loaded number is one of the values."""
    count = len(values)
    tests = [(_IF_EQUAL, count - at, 0, value) for at, value in enumerate(values)]
    return [*tests, (_RETURN, 0, 0, otherwise)]


class Filter:
    """A program in memory, ready to be installed by children; ``OWN_PROCESS`` in it is their process id."""

    def __init__(self, program: bytes) -> None:
        self._memory = bytearray(program)
        self._places = [
            at + _VALUE
            for at in range(0, len(program), _INSTRUCTION.size)
            if program[at + _VALUE : at + _INSTRUCTION.size] == _OWN_PROCESS_BYTES
        ]
        self._held = (ctypes.c_char * len(program)).from_buffer(self._memory)
        self._header = _PROGRAM.pack(len(program) // _INSTRUCTION.size, ctypes.addressof(self._held))
        self._address = kernel.address_of(self._header)

    def install(self) -> None:
        """Have the kernel filter the system calls of this process from now on. Raises OSError."""
        for place in self._places:
            _NUMBER_IN_PROGRAM.pack_into(self._memory, place, os.getpid())
        kernel.system_call("seccomp", _SET_MODE_FILTER, _SPECULATION_ALLOWED, self._address)
