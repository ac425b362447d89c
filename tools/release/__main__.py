"""Make a release in ``dist/`` and check it: ``python -m tools.release``."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from tools.api_docs.document import document_text
from tools.release.built_wheels import SOURCES, build_wheels
from tools.release.constraints import check_wheels, for_cpus, list_of, resolve
from tools.release.installed import CPU_LIST, check_installed, sums
from tools.release.packages import (
    build,
    build_from_tree,
    compare_builds,
    compare_with_git,
    compare_with_tree,
    uncommitted,
)
from tools.release.programs import ReleaseError
from tools.release.sbom import bill_of_materials

ROOT = Path(__file__).parents[2]


def make_packages(root: Path, directory: Path) -> str:
    """Build wheel and source distribution into an empty directory; return a line that says what was seen."""
    source, wheel = build(root, directory)
    compare_with_git(source, root)
    with tempfile.TemporaryDirectory(prefix="pagemill-again-") as again:
        build_from_tree(root, Path(again))
        compare_builds(directory, Path(again))
    count = compare_with_tree(wheel, root)
    others = ", ".join(build_wheels(directory))
    return (
        f"{count} files of the tree are in the wheel; built again, both packages have the same bytes; "
        f"wheels of {others} beside it"
    )


def make_lists(root: Path, directory: Path) -> str:
    """Write the lists with hashes, and the SBOM; return a line that says what was seen."""
    pins = resolve(root)
    listed = directory / "constraints-hashed.txt"
    listed.write_text(list_of(pins, title="What Pagemill stands on, for machines with or without a GPU"))
    kinds = check_wheels(listed)
    cpu = list_of(for_cpus(pins), title="What Pagemill stands on, for machines without a GPU")
    (directory / CPU_LIST).write_text(cpu)
    with tempfile.TemporaryDirectory(prefix="pagemill-bill-") as temporary:
        everything = Path(temporary) / listed.name
        everything.write_text(listed.read_text() + SOURCES.read_text())
        bill = bill_of_materials(root, everything)
    (directory / "sbom.cdx.json").write_text(bill)
    return f"{len(pins)} packages, all in the SBOM, with wheels for {kinds} kinds of machines"


def make_release(root: Path, directory: Path, *, fast: bool = False) -> None:
    """Make a release and check it. Raises ReleaseError."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    _say(make_packages(root, directory))
    _say(make_lists(root, directory))
    document = document_text()
    if json.loads(document)["info"]["version"] != version:
        raise ReleaseError("the API says another version: run `make install`")
    (directory / "openapi.json").write_text(document)
    (directory / "SHA256SUMS").write_text(sums(directory))
    _say(check_installed(directory, version, fast=fast))
    for path in sorted(directory.iterdir()):
        print(f"{path.stat().st_size:>12,}  {path.name}")
    if uncommitted(root):
        print("The tree has changes that are not committed.", file=sys.stderr)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def main() -> int:
    """Return the exit status: 1 when the release is not what it should be."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    parser.add_argument("--directory", type=Path, default=ROOT / "dist")
    parser.add_argument("--fast", action="store_true", help="install the wheel alone, beside what is here")
    options = parser.parse_args()
    try:
        make_release(ROOT, options.directory, fast=options.fast)
    except ReleaseError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
