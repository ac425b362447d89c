"""Home directory of a node of cluster.yaml: what ``ray up`` copies there, and commands run as it does."""

from __future__ import annotations

import hashlib
import platform
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.command_runner import _with_environment_variables, _with_interactive

ROOT = Path(__file__).parents[2]
SECONDS = 180
DEPENDENCY = "pagemill_stands_on_this"


def cluster_file() -> dict[str, Any]:
    """The content of cluster.yaml."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return loaded


class NodeHome:
    """A home directory. Its user finds the programs in ``programs`` before those of the machine."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.programs = home / "programs"
        self.programs.mkdir(parents=True, exist_ok=True)
        (home / ".bashrc").touch()
        # A login shell sets PATH anew.
        (home / ".bash_profile").write_text(f"PATH={self.programs}:$PATH\n")

    def copy(self, files: Path, mounts: dict[str, str]) -> None:
        """Copy what ``file_mounts`` names from a directory that stands for that of the operator."""
        for remote, local in mounts.items():
            target = self.home / remote.removeprefix("~/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if (files / local).is_dir():
                shutil.copytree(files / local, target)
            else:
                shutil.copy(files / local, target)

    def program(self, name: str, script: str) -> None:
        """Put a program in front of the machine's."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, command: str, **environment: object) -> subprocess.CompletedProcess[str]:
        """Run a command as ``ray up`` does by ssh, with the variables that it would export."""
        words = _with_interactive(_with_environment_variables(command, environment))
        return subprocess.run(
            ["/bin/sh", "-c", " ".join(words)],
            env={"HOME": str(self.home), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            start_new_session=True,
        )

    def set_up(self, commands: list[str]) -> None:
        """Run set-up commands; each has to succeed."""
        for command in commands:
            done = self.run(command)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            self.lend_packages()

    def lend_packages(self) -> None:
        """Let the node's environment, if it is there, have what is installed where the tests run."""
        for packages in self.home.glob("pagemill/venv/lib/python*/site-packages"):
            lent = [path for path in (*sys.path, *site.getsitepackages()) if path.endswith("site-packages")]
            (packages / "lent.pth").write_text("\n".join(dict.fromkeys(lent)))


def operators_directory(directory: Path, wheel: Path) -> Path:
    """Fill a directory as an operator does: dist/ with a small package for all dependencies, and two secrets.

    Its version is 1 in the list of machines without a GPU, and 2 in the other.
    """
    dist = directory / "dist"
    dist.mkdir(parents=True)
    shutil.copy(wheel, dist)
    for name, version in (("constraints-hashed-cpu.txt", "1"), ("constraints-hashed.txt", "2")):
        small = _small_wheel(directory / "index", version)
        digest = hashlib.sha256(small.read_bytes()).hexdigest()
        wanted = f"=={version}"
        if version == "1":
            # As PyTorch for CPUs: a file of a server, for machines of a kind.
            machine = f"platform_machine == '{platform.machine()}' and python_version >= '3.11'"
            wanted = f" @ {small.as_uri()} ; {machine}"
        pin = f"{DEPENDENCY}{wanted} \\\n    --hash=sha256:{digest}\n"
        (dist / name).write_text(f"--no-index\n--find-links {small.parent}\n{pin}")
    write_sums(dist)
    (directory / "ray-token").write_text("0123456789abcdef0123456789abcdef")
    (directory / "pagemill.env").write_text(
        "PAGEMILL_DATABASE_URL=postgresql://somewhere/db\nPAGEMILL_OBJECTS_URL=s3://somewhere\n"
    )
    return directory


def write_sums(dist: Path) -> None:
    """Write SHA256SUMS, as a release does."""
    from tools.release.installed import sums

    (dist / "SHA256SUMS").write_text(sums(dist))


def _small_wheel(directory: Path, version: str) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / f"{DEPENDENCY}-{version}-py3-none-any.whl"
    information = f"{DEPENDENCY}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{DEPENDENCY}.py", f"VERSION = {version!r}\n")
        archive.writestr(
            f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {DEPENDENCY}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{information}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{information}/RECORD", "")
    return path
