"""Directories for files that no other user of the machine may read or replace."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pagemill.settings import PREFIX, SettingsError


def private_directory(directory: Path, setting: str) -> Path:
    """Return the directory, made if need be.

    Raises SettingsError, which names the ``setting`` that chooses it, where others could write into it.
    """
    name = PREFIX + setting.upper()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise SettingsError(f"{name}: {error}") from error
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
        return directory
    raise SettingsError(f"{name}: {directory} is not a directory that only this user can enter")
