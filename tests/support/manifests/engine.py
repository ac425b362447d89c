"""A container engine, and a base image that no registry is needed for."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

BASE = "PAGEMILL_CONTAINER_BASE"
"""Variable with a base image that the engine has, or MADE: one is made of Debian's packages."""
MADE = "debootstrap"
DEBIAN = "bookworm"
PACKAGES = "bash,ca-certificates,python3,python3-venv"
# What Podman needs where it runs inside of a container itself.
NESTED = ("--runtime", "runc", "--cgroup-manager", "cgroupfs")
LIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:4096")
SECONDS = 1500


class EngineMissing(Exception):
    """There is no engine, or no base image; the message says which."""


@dataclass(frozen=True)
class Engine:
    """Podman. Nothing is pulled: images come from the working tree, and from Debian."""

    program: str
    directory: Path
    made: list[str] = field(default_factory=list)
    options: tuple[str, ...] = ()
    """Options of each command: of an engine that keeps its images elsewhere."""

    def run(self, *arguments: str | Path, seconds: float = SECONDS) -> str:
        """Return the output of a command of the engine. Raises CalledProcessError, with what it said."""
        done = subprocess.run(
            [self.program, *self.options, *NESTED, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        if done.returncode != 0:
            raise AssertionError(f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done.stdout.strip()

    def answers(self, *arguments: str) -> bool:
        """Return whether a command of the engine succeeds."""
        try:
            self.run(*arguments, seconds=60)
        except AssertionError:
            return False
        return True

    def base(self) -> str:
        """A base image. Raises EngineMissing."""
        given = os.environ.get(BASE, "")
        if not given:
            raise EngineMissing(
                f"{BASE} names no base image; with {MADE} one is made, in a quarter of an hour"
            )
        if given != MADE:
            return given
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            raise EngineMissing("only root can make a base image, with debootstrap")
        root, packed = self.directory / "root", self.directory / "base.tar"
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", DEBIAN, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        if done.returncode != 0:
            raise EngineMissing(f"debootstrap: {done.stdout[-500:]}")
        with tarfile.open(packed, "w") as archive:
            archive.add(root, arcname=".")
        shutil.rmtree(root)
        self.made.append("localhost/pagemill-test-base")
        self.run("import", packed, self.made[-1])
        packed.unlink()
        return self.made[-1]

    def build(self, containerfile: Path, context: Path, tag: str, **arguments: str) -> str:
        """Build an image, with the package index that this machine uses."""
        pairs = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        self.made.append(f"localhost/{tag}")
        where = ("-f", containerfile, "-t", tag, context)
        self.run("build", *LIMITS, "--network", "host", *self._index(), *pairs, *where)
        return self.made[-1]

    def use_local_files(self, release: Path) -> None:
        """Have a release name files that lie on this machine by their path; their hashes stay."""
        listed = release / "constraints-hashed-cpu.txt"
        lines = listed.read_text()
        for directory in (Path(one) for one in self._settings().get("find-links", "").split()):
            for path in directory.glob("*.whl"):
                lines = re.sub(
                    rf"https://\S+/{re.escape(quote(path.name))}", f"file://{quote(str(path))}", lines
                )
        listed.write_text(lines)
        (release / "SHA256SUMS").write_text(
            "".join(
                f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
                for path in sorted(release.iterdir())
                if path.name != "SHA256SUMS"
            )
        )

    def remove(self) -> None:
        for image in reversed(self.made):
            self.run("rmi", "--force", "--ignore", image)

    def _settings(self) -> dict[str, str]:
        """Return the settings of pip on this machine."""
        lines = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=False).stdout
        return dict(re.findall(r"^(?:global|:env:)\.([a-z-]+)='(.*)'$", lines, re.MULTILINE))

    def _index(self) -> list[str]:
        """Mounts by which pip finds packages as it does here: its settings, and the files that they name."""
        settings = self._settings()
        file = self.directory / "pip.conf"
        file.write_text("\n".join(["[global]", *(f"{name} = {value}" for name, value in settings.items())]))
        named = [Path(path) for path in re.findall(r"/(?:opt|etc)/\S+", " ".join(settings.values()))]
        roots = {Path(*path.parts[:3]) if path.parts[1] == "opt" else path.parent for path in named}
        mounts = {root: root for root in roots if root.exists()} | {Path("/etc/pip.conf"): file}
        return [word for inside, path in mounts.items() for word in ("--volume", f"{path}:{inside}:ro")]


def find_engine(directory: Path) -> Engine:
    """The engine of this machine. Raises EngineMissing."""
    program = shutil.which("podman")
    if program is None:
        raise EngineMissing("there is no podman")
    return Engine(program, directory)
