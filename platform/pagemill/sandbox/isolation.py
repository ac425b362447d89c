"""Namespaces of a fork server, which its children are born into: a network without any other machine."""

from __future__ import annotations

import os
from pathlib import Path

from pagemill.sandbox import kernel

_PROCESS = Path("/proc/self")


def leave_network() -> None:
    """Enter a network of this process's own, which leads nowhere. Raises OSError.

    Who has not the right to do so does it in a user namespace, where the kernel allows these.
    """
    try:
        kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        if user == 0:
            # It would know no other user there, and another user for each child is worth more.
            raise
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC)
        (_PROCESS / "setgroups").write_text("deny")
        (_PROCESS / "uid_map").write_text(f"{user} {user} 1")
        (_PROCESS / "gid_map").write_text(f"{group} {group} 1")
