"""Wheel and source distribution: built twice, with the same bytes, and with the files of the tree."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tools.release.programs import ReleaseError, run

PACKAGES = {
    "platform/pagemill": "pagemill",
    "serve_apps": "serve_apps",
    "train_jobs": "train_jobs",
    "db": "db",
}
"""Directories of the tree, and what they are in the wheel."""
MADE = "PKG-INFO"
COMPILED = {"__pycache__"}


def build(root: Path, directory: Path) -> tuple[Path, Path]:
    """Build into an empty directory: the source distribution, and the wheel from it. Return their paths."""
    run([*_build(), "--outdir", directory, root], cwd=root)
    return _only(directory, "*.tar.gz"), _only(directory, "*.whl")


def build_from_tree(root: Path, directory: Path) -> None:
    """Build both again into another directory, the wheel without the source distribution."""
    run([*_build(), "--sdist", "--wheel", "--outdir", directory, root], cwd=root)


def compare_builds(first: Path, second: Path) -> None:
    """Raise ReleaseError when two directories have not the same files with the same bytes."""
    names = {path.name for path in (*first.iterdir(), *second.iterdir())}
    for name in sorted(names):
        builds = [directory / name for directory in (first, second)]
        if not all(path.exists() for path in builds) or builds[0].read_bytes() != builds[1].read_bytes():
            raise ReleaseError(f"{name} is another one when it is built again")


def compare_with_tree(wheel: Path, root: Path) -> int:
    """Return how many files of the tree are in the wheel. Raises ReleaseError naming those that differ."""
    expected = dict(_files_of_the_tree(root))
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        differing = [
            name
            for name, path in expected.items()
            if name in packed and archive.read(name) != path.read_bytes()
        ]
    wrong = sorted({*(expected.keys() ^ packed), *differing})
    if wrong:
        raise ReleaseError(f"the wheel and the tree differ in {', '.join(wrong)}")
    return len(expected)


def compare_with_git(source: Path, root: Path) -> None:
    """Raise ReleaseError naming files of a source distribution that git, where it is used, does not know.

    The builder takes all that lies in the tree, an operator's token among it.
    """
    if not (root / ".git").exists():
        return
    known = {*run(["git", "ls-files", "-z"], cwd=root).split("\0"), MADE}
    with tarfile.open(source) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    if strange := sorted(packed - known):
        raise ReleaseError(f"git does not know {', '.join(strange)}, and the source distribution has it")


def uncommitted(root: Path) -> bool:
    """Return whether the tree has changes that no commit has."""
    return (root / ".git").exists() and run(["git", "status", "--short"], cwd=root) != ""


def _files_of_the_tree(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of the packages by their names in the wheel: those that git knows, where it is used."""
    for directory, package in PACKAGES.items():
        if (root / ".git").exists():
            names = run(["git", "ls-files", "-z", directory], cwd=root).split("\0")
            paths = [root / name for name in names if name]
        else:
            paths = [path for path in (root / directory).rglob("*") if path.is_file()]
        for path in paths:
            relative = path.relative_to(root / directory)
            if not COMPILED & set(relative.parts):
                yield f"{package}/{relative.as_posix()}", path


def _build() -> list[str]:
    # With the pinned hatchling of this environment: an isolated build would take the newest one.
    return [sys.executable, "-m", "build", "--no-isolation"]


def _only(directory: Path, pattern: str) -> Path:
    [found] = directory.glob(pattern)
    return found
