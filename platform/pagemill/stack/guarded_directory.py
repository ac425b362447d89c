"""A directory of root's that holds one of another account: in it no link is followed.

Whoever owns a directory can put a link where root expects a file. So the account owns its own directory
alone, which lies in one of root's, and what root reads there is opened without following links.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from pagemill.errors import PagemillError

MODE = 0o711
"""Others may walk through, and neither list nor change anything."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnsafeDirectory(PagemillError):
    """A directory could be changed by somebody else, or a link lies where a file is expected."""


def take(directory: Path, *, theirs: str) -> None:
    """Make a directory and its files root's, except ``theirs``, and remove links.

    An earlier release gave all of it to the account. A link named ``theirs`` is an error: what it leads to
    may be wanted. Raises UnsafeDirectory, OSError.
    """
    _check_parent(directory.parent)
    directory.mkdir(mode=MODE, exist_ok=True)
    with _opened(directory) as descriptor:
        os.fchown(descriptor, os.getuid(), os.getgid())
        os.fchmod(descriptor, MODE)
        for name in os.listdir(descriptor):
            _take_entry(directory, descriptor, name, theirs)


def give(directory: Path, name: str, account: pwd.struct_passwd) -> None:
    """Make ``name`` in a directory of root's one of the account's. Raises UnsafeDirectory, OSError."""
    with _opened(directory) as parent:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
        with _opened(Path(name), parent) as descriptor:
            os.fchown(descriptor, account.pw_uid, account.pw_gid)


def read_file(path: Path, *, limit: int = 65_536) -> str:
    """Return the last bytes of a file as text, unless it is a link or no file. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | _FILE)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a file")
        size = os.fstat(descriptor).st_size
        file.seek(max(0, size - limit))
        return file.read(limit).decode(errors="replace")


def open_log(path: Path) -> int:
    """Open a file to append to, and return its descriptor; a link is not followed. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _FILE, 0o600)


def _check_parent(parent: Path) -> None:
    """Raise UnsafeDirectory when somebody else could put another directory into this one's place."""
    parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    status = parent.stat()
    others_write = bool(status.st_mode & 0o022) and not status.st_mode & stat.S_ISVTX
    if status.st_uid != os.getuid() or others_write:
        owner = "others" if others_write else f"user {status.st_uid}"
        raise UnsafeDirectory(
            f"{parent} can be changed by {owner}, and root keeps the database in it: "
            f"make it root's with `chown root {parent}` and `chmod go-w {parent}`, or choose another place"
        )


@contextlib.contextmanager
def _opened(directory: Path, parent: int | None = None) -> Iterator[int]:
    try:
        descriptor = os.open(directory, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        raise UnsafeDirectory(f"{directory} is no directory, or a link: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _take_entry(directory: Path, descriptor: int, name: str, theirs: str) -> None:
    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    if name == theirs:
        if not stat.S_ISDIR(status.st_mode):
            raise UnsafeDirectory(
                f"{directory / name} is no directory, or a link: mount the place of the data there instead"
            )
        return
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        file = os.open(name, os.O_RDONLY | _FILE, dir_fd=descriptor)
        try:
            os.fchown(file, os.getuid(), os.getgid())
            os.fchmod(file, 0o600)
        finally:
            os.close(file)
    elif not stat.S_ISDIR(status.st_mode):
        # A link, a pipe, a second name of somebody's file: nothing that was made here.
        os.unlink(name, dir_fd=descriptor)
