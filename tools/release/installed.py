"""A release in an empty environment: what is installed has the hashes of its lists, imports and answers."""

from __future__ import annotations

import hashlib
import site
import sys
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import unquote

from tools.release.constraints import TORCH, by_version, list_of, parse
from tools.release.packages import PACKAGES
from tools.release.programs import ReleaseError, run

CPU_LIST = "constraints-hashed-cpu.txt"
REACH_SECONDS = 15
HASHED = ("--quiet", "--require-hashes")
CLEAN = {"PYTHONPATH": "", "PYTHONHOME": ""}
IMPORTS = """
import importlib, pkgutil, sys
count = 0
for package in sys.argv[1:]:
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
            count += 1
print(count)
"""
"""Imports all modules of some packages."""


def check_installed(directory: Path, version: str, *, fast: bool) -> str:
    """Install a release and use it; return a line that says what was done. Raises ReleaseError.

    When it is ``fast``, what it stands on is that of this environment, instead of being installed.
    """
    with tempfile.TemporaryDirectory(prefix="pagemill-release-") as temporary:
        home = Path(temporary)
        environment = home / "environment"
        run([sys.executable, "-m", "venv", environment], cwd=home)
        if fast:
            [packages] = environment.glob("lib/python*/site-packages")
            (packages / "dependencies.pth").write_text("\n".join(_packages_of_this_environment()))
        else:
            listed = _reachable_list(directory / CPU_LIST, home)
            _pip(environment, "install", *HASHED, "--only-binary", ":all:", "-r", listed)
        _pip(environment, "install", *HASHED, "--no-deps", "--no-index", "-r", _wheel_list(directory, home))
        if not fast:
            _pip(environment, "check")
        return _use(environment, version)


def _pip(environment: Path, command: str, *arguments: str | Path) -> None:
    python = environment / "bin" / "python"
    run([python, "-m", "pip", command, *arguments], cwd=environment, environment=CLEAN)


def _use(environment: Path, version: str) -> str:
    """Run the command of an environment and import all modules; return a line that says so."""
    command = environment / "bin" / "pagemill"
    said = run([command, "--version"], cwd=environment, environment=CLEAN).strip()
    if f"version {version}+" not in said:
        raise ReleaseError(f"pagemill --version says {said}, and {version} is built")
    run([command, "--help"], cwd=environment, environment=CLEAN)
    imports = [str(environment / "bin" / "python"), "-c", IMPORTS, *PACKAGES.values()]
    count = run(imports, cwd=environment, environment=CLEAN).split()[-1]
    return f"{said}; {count} modules can be imported"


def _reachable_list(listed: Path, home: Path) -> Path:
    """Return a list whose files can be had here.

    Where PyTorch's own server is out of reach it has PyTorch by its version, for a mirror that pip knows:
    the hashes are the same.
    """
    pins = parse(listed.read_text())
    builds = [pin for pin in pins if pin.name == TORCH]
    version = unquote(builds[0].version).rpartition("/")[2].split("-")[1]
    try:
        with urllib.request.urlopen(builds[0].version, timeout=REACH_SECONDS):
            return listed
    except OSError:
        print(f"{builds[0].version} is out of reach; pip is asked for torch {version}", flush=True)
    changed = home / CPU_LIST
    changed.write_text(list_of(by_version(pins, version), title="The same, from a mirror"))
    return changed


def _packages_of_this_environment() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")] or site.getsitepackages()


def _wheel_list(directory: Path, home: Path) -> Path:
    """Write a list that holds the wheels with their hashes, as SHA256SUMS has them."""
    lines = (directory / "SHA256SUMS").read_text().splitlines()
    wheels = [line.split() for line in lines if line.endswith(".whl")]
    listed = home / "wheels.txt"
    listed.write_text(
        "".join(f"{directory.resolve() / name} --hash=sha256:{digest}\n" for digest, name in wheels)
    )
    return listed


def sums(directory: Path) -> str:
    """Return the content of SHA256SUMS: a line for each file, as ``sha256sum --check`` reads it."""
    files = sorted(path for path in directory.iterdir() if path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
