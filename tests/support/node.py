"""Packages of Node, installed once from a lock file; and the official Node client, run as anybody would."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

DIRECTORY = Path(__file__).parents[1] / "node"
CACHE = Path(__file__).parents[2] / ".cache" / "node"
MANIFESTS = ("package.json", "package-lock.json")
INSTALL_SECONDS = 120
RUN_SECONDS = 240


@dataclass(frozen=True, slots=True)
class NodeRun:
    """What one run of all scenarios came to: what is wrong with each by its name, nothing when it passed."""

    trouble: Mapping[str, str]
    output: str


def scenarios() -> list[str]:
    """The names of all scenarios, in the order in which they run."""
    every = (DIRECTORY / "all.cjs").read_text()
    parts = [DIRECTORY / name for name in re.findall(r"require\('\./(\w+\.cjs)'\)", every)]
    texts = [path.read_text() for path in parts if path.name != "client.cjs"]
    return [name for text in (*texts, every) for name in re.findall(r"^test\('([^']+)'", text, re.MULTILINE)]


def run_scenarios(environment: Mapping[str, str], answers: Path) -> NodeRun:
    """Run them all in one process. Skips the test where there is no Node or nothing to install it from."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the Node client is not tested")
    done = subprocess.run(
        [node, "--test-reporter=tap", str(DIRECTORY / "all.cjs")],
        env={
            **os.environ,
            **environment,
            "NODE_PATH": str(installed(DIRECTORY)),
            "ANSWERS_PATH": str(answers),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_SECONDS,
    )
    outcomes = re.findall(r"^(not ok|ok) \d+ - (.+)\n((?:  .*\n)*)", done.stdout, re.MULTILINE)
    trouble = {name: "" if outcome == "ok" else details for outcome, name, details in outcomes}
    return NodeRun(trouble, done.stdout + done.stderr)


def installed(source: Path) -> Path:
    """The directory of the packages of a lock file, one for each state of it. Skips without a registry."""
    manifests = [source / name for name in MANIFESTS]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in manifests)).hexdigest()[:16]
    directory = CACHE / digest
    directory.mkdir(parents=True, exist_ok=True)
    complete = directory / "complete"
    # Two processes of tests may want the same ones.
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            _install(directory, manifests)
            complete.touch()
    return directory / "node_modules"


def _install(directory: Path, manifests: list[Path]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: packages of Node cannot be installed")
    for path in manifests:
        shutil.copy(path, directory)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm ci took longer than {INSTALL_SECONDS} s: is there a registry?")
    if done.returncode != 0:
        pytest.skip(f"npm ci failed, is there a registry? {done.stderr.strip()[-400:]}")


def main() -> None:
    """Install the packages of all tests, so that no test waits for a registry."""
    for directory in (DIRECTORY, DIRECTORY.parent / "sign_in"):
        with contextlib.suppress(pytest.skip.Exception):
            installed(directory)


if __name__ == "__main__":
    main()
