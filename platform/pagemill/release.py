"""The release: the version of the package and a digest of its code, so that a changed tree is another one."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from pagemill import __version__

PACKAGES = ("db", "pagemill", "serve_apps", "train_jobs")
CODE = (".py", ".sql")
DIGITS = 12


@functools.cache
def release() -> str:
    """Return the release of the installed code, as ``0.1.0+1f0c5b8e92aa``: the same wherever this code is."""
    return f"{__version__}+{code_digest(_directory_of(package) for package in PACKAGES)}"


def code_digest(directories: Iterable[Path]) -> str:
    """Return a digest of the code in some directories: of its files' names and content."""
    digest = hashlib.sha256()
    for directory in directories:
        for path in sorted(file for file in directory.rglob("*") if file.suffix in CODE):
            digest.update(f"{directory.name}/{path.relative_to(directory).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:DIGITS]


def _directory_of(package: str) -> Path:
    """Return where a package lies, without importing it."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"the package {package} is not installed", name=package)
    return Path(found.origin).parent
