"""Dependencies with the hashes of all their files, for every machine that a release supports.

There are two lists. PyPI's PyTorch for x86-64 is the build for CUDA, and needs gigabytes of NVIDIA's
libraries. Nodes and containers without a GPU install the build for CPUs, which PyTorch's own index has.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.markers import Marker

from tools.release.programs import ReleaseError, run

MACHINES = ("x86_64", "aarch64")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
TORCH_PAGE = "https://download.pytorch.org/whl/cpu/torch/"
TORCH = "torch"
TORCH_CPU = Path(__file__).parent / "torch_cpu.txt"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:==| @ )(\S+)(?: ; (.+?))? \\$")
_HASH = re.compile(r"^    --hash=(sha256:[0-9a-f]{64})(?: \\)?$")
_CUDA = re.compile(r"^(nvidia-|cuda-|triton$)")


@dataclass(frozen=True, slots=True)
class Pin:
    """A dependency in one version, or one file of it, with the hashes."""

    name: str
    version: str
    """Version, or the URL of the file."""
    marker: str
    hashes: tuple[str, ...]

    @property
    def is_supported(self) -> bool:
        """Return whether a supported machine needs it."""
        return not self.marker or any(Marker(self.marker).evaluate(one) for one in environments())

    def __str__(self) -> str:
        wanted = f" @ {self.version}" if "://" in self.version else f"=={self.version}"
        marker = f" ; {self.marker}" if self.marker else ""
        return " \\\n".join([f"{self.name}{wanted}{marker}", *(f"    --hash={one}" for one in self.hashes)])


def resolve(root: Path) -> list[Pin]:
    """Return what the platform stands on, in the versions of constraints.txt, asked of the package index."""
    command = [
        *(sys.executable, "-m", "uv", "--no-config", "--quiet", "pip", "compile", "pyproject.toml"),
        *("--constraint", "constraints.txt", "--universal", "--python-version", PYTHONS[0]),
        *("--generate-hashes", "--no-annotate", "--no-header"),
    ]
    return [pin for pin in parse(run(command, cwd=root)) if pin.is_supported]


def check_wheels(listed: Path) -> int:
    """Return for how many kinds of machines a list has a wheel of each package, and all that these need.

    Nothing is installed. Raises ReleaseError with the first kind that lacks one.
    """
    kinds = [(machine, python) for machine in MACHINES for python in PYTHONS]
    with tempfile.TemporaryDirectory(prefix="pagemill-nothing-") as nothing:
        for machine, python in kinds:
            command = [
                *(sys.executable, "-m", "uv", "--no-config", "--quiet", "pip", "install", "--dry-run"),
                *("--require-hashes", "--only-binary", ":all:", "--target", nothing, "-r", str(listed)),
                *("--python-version", python, "--python-platform", f"{machine}-manylinux_2_28"),
            ]
            run(command, cwd=listed.parent)
    return len(kinds)


def parse(text: str) -> list[Pin]:
    """Return the pins of a list. Raises ReleaseError for another line, and for a pin without a hash."""
    found: list[Pin] = []
    for line in text.splitlines():
        if pin := _PIN.match(line):
            found.append(Pin(pin[1], pin[2], pin[3] or "", ()))
        elif (one := _HASH.match(line)) and found:
            found[-1] = replace(found[-1], hashes=(*found[-1].hashes, one[1]))
        elif line and not line.startswith("#"):
            raise ReleaseError(f"not understood: {line}")
    if missing := [pin.name for pin in found if not pin.hashes]:
        raise ReleaseError(f"without a hash: {', '.join(missing)}")
    return found


def for_cpus(pins: Iterable[Pin]) -> list[Pin]:
    """Return the pins of machines without a GPU, with PyTorch's builds for CPUs by their URLs.

    Raises ReleaseError when those of its version are not written down: ``python -m tools.release.torch_cpu``.
    """
    kept = [pin for pin in pins if not _CUDA.match(pin.name)]
    [torch] = [pin for pin in kept if pin.name == TORCH]
    builds = parse(TORCH_CPU.read_text())
    if not all(f"/torch-{torch.version}%2Bcpu-" in build.version for build in builds):
        raise ReleaseError(f"{TORCH_CPU.name} has no builds of torch {torch.version}")
    return [*(pin for pin in kept if pin is not torch), *builds]


def by_version(pins: Iterable[Pin], torch_version: str) -> list[Pin]:
    """Return pins for CPUs whose PyTorch, the same files, may come from a mirror."""
    others = [pin for pin in pins if pin.name != TORCH]
    hashes = tuple(one for pin in pins if pin.name == TORCH for one in pin.hashes)
    return [*others, Pin(TORCH, torch_version, "", hashes)]


def environments() -> Iterator[dict[str, str]]:
    """Yield what markers ask of a machine, for each that is supported."""
    for machine in MACHINES:
        for version in PYTHONS:
            yield {
                "os_name": "posix",
                "sys_platform": "linux",
                "platform_system": "Linux",
                "platform_machine": machine,
                "python_version": version,
                "python_full_version": f"{version}.0",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "extra": "",
            }


def list_of(pins: Iterable[Pin], *, title: str) -> str:
    """Return a list that ``pip install --require-hashes -r`` takes."""
    head = f"# {title}, for {' and '.join(MACHINES)}, Python {PYTHONS[0]} to {PYTHONS[-1]}."
    return "\n".join([head, *map(str, pins)]) + "\n"
