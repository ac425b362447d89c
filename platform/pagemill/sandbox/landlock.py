"""Rights on files (Landlock): of everything that is not named, a process may open nothing any more."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Sequence
from typing import Final

from pagemill.sandbox import kernel

# linux/landlock.h
_ASK_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1
_READ_FILE, _READ_DIRECTORY = 1 << 2, 1 << 3
_RIGHTS_OF_VERSION: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK_VERSION, _BIND_AND_CONNECT = 4, 0b11
_SCOPE_VERSION, _ABSTRACT_SOCKETS_AND_SIGNALS = 6, 0b11
_PATH_BENEATH: Final = struct.Struct("=Qi")


def landlock_version() -> int:
    """Return the version that the kernel offers. Raises OSError when it offers none."""
    return kernel.system_call("landlock_create_ruleset", 0, 0, _ASK_VERSION)


def make_ruleset(readable: Sequence[str], *, network: bool = False) -> int:
    """Return the descriptor of rules that allow reading some directories, as far as they exist.

    Without ``network`` they forbid TCP, where the kernel's version can. Raises OSError.
    """
    version = landlock_version()
    files = max(rights for since, rights in _RIGHTS_OF_VERSION.items() if since <= version)
    handled = [files]
    if version >= _NETWORK_VERSION:
        handled.append(0 if network else _BIND_AND_CONNECT)
    if version >= _SCOPE_VERSION:
        handled.append(_ABSTRACT_SOCKETS_AND_SIGNALS)
    attributes = struct.pack(f"{len(handled)}Q", *handled)
    ruleset = kernel.system_call("landlock_create_ruleset", kernel.address_of(attributes), len(attributes), 0)
    try:
        for path in readable:
            with contextlib.suppress(FileNotFoundError):
                _allow_reading(ruleset, path)
    except OSError:
        os.close(ruleset)
        raise
    return ruleset


def _allow_reading(ruleset: int, path: str) -> None:
    directory = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | _READ_DIRECTORY if os.path.isdir(path) else _READ_FILE
        rule = _PATH_BENEATH.pack(rights, directory)
        kernel.system_call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, kernel.address_of(rule), 0)
    finally:
        os.close(directory)


def restrict_this_process(ruleset: int) -> None:
    """Hold this process to the rules for ever. It needs ``no_new_privileges`` before. Raises OSError."""
    kernel.system_call("landlock_restrict_self", ruleset, 0)
