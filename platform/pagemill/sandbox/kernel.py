"""Calls of the Linux kernel that Python has no function for; each raises OSError, elsewhere always."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import re
import struct
import sys
from pathlib import Path
from typing import Final

from pagemill.sandbox.system_calls import architecture, number_of

CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000

# linux/capability.h: root may enter other processes and the kernel by these.
_CAP_SYS_MODULE, _CAP_SYS_RAWIO, _CAP_SYS_CHROOT, _CAP_SYS_PTRACE, _CAP_SYS_ADMIN = 16, 17, 18, 19, 21
_CAP_SYS_BOOT, _CAP_MKNOD, _CAP_PERFMON, _CAP_BPF, _CAP_CHECKPOINT_RESTORE = 22, 27, 38, 39, 40
CAPABILITIES_INTO_OTHERS: Final = sum(
    1 << number
    for number in (
        *(_CAP_SYS_MODULE, _CAP_SYS_RAWIO, _CAP_SYS_CHROOT, _CAP_SYS_PTRACE, _CAP_SYS_ADMIN),
        *(_CAP_SYS_BOOT, _CAP_MKNOD, _CAP_PERFMON, _CAP_BPF, _CAP_CHECKPOINT_RESTORE),
    )
)

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITIES: Final = struct.Struct("Ii")
_CAPABILITY_VERSION: Final = 0x20080522


@functools.cache
def _library() -> ctypes.CDLL:
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "this system is not Linux")
    return ctypes.CDLL(None, use_errno=True)


def system_call(name: str, *arguments: int) -> int:
    """Call the kernel with numbers and addresses."""
    library, number = _library(), number_of(name, architecture())
    if number is None:
        raise OSError(errno.ENOSYS, name)
    return _checked(library.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)), name)


def no_new_privileges() -> None:
    """Give up for ever, also for programs that are executed, what set-user-id files would bring."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def set_dumpable(dumpable: bool) -> None:
    """Allow or refuse other processes of the same user this one's memory, descriptors and environment."""
    _prctl(_PR_SET_DUMPABLE, int(dumpable))


def set_parent_death_signal(number: int) -> None:
    """Have the kernel send a signal when the parent ends; a change of the user forgets it."""
    _prctl(_PR_SET_PDEATHSIG, number)


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _checked(_library().unshare(flags), "unshare")


def drop_capabilities(kept: int = 0) -> None:
    """Give up all capabilities but those in a mask, which the process has to have."""
    header = _CAPABILITIES.pack(_CAPABILITY_VERSION, 0)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    sets = struct.pack("6I", low, low, 0, high, high, 0)
    system_call("capset", address_of(header), address_of(sets))


def held_capabilities() -> int:
    """Return the mask of the capabilities that this process can use; 0 where there are none."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        return 0
    [mask] = re.findall(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return int(mask, 16)


def may_look_into_others() -> bool:
    """Return whether this process may read the memory and the descriptors of any other."""
    return bool(held_capabilities() >> _CAP_SYS_PTRACE & 1)


def address_of(content: bytes | bytearray) -> int:
    """Return the address of bytes, which are not moved while their object is held."""
    if isinstance(content, bytearray):
        return ctypes.addressof(ctypes.c_char.from_buffer(content))
    return ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value or 0


def _prctl(option: int, value: int) -> None:
    _checked(_library().prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3), "prctl")


def _checked(result: int, name: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
