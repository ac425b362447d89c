"""Write down the hashes of PyTorch's builds for CPUs: ``python -m tools.release.torch_cpu``.

They are asked of PyTorch's own index when its version in constraints.txt has changed, not in each release:
what a release holds does not depend on what a page says that day.
"""

from __future__ import annotations

import html.parser
import re
import sys
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urljoin

from tools.release.constraints import MACHINES, PYTHONS, TORCH, TORCH_CPU, TORCH_PAGE, Pin
from tools.release.programs import ReleaseError

SECONDS = 60
_VERSION = re.compile(r"^torch==(\S+)$", re.MULTILINE)


class _Links(html.parser.HTMLParser):
    """Addresses of the files of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of a link."""
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def cpu_builds(page: str, address: str, version: str) -> list[Pin]:
    """Return the builds of a version for CPUs that a page names, each for its machine and Python.

    ``address`` is that of the page. Raises ReleaseError if a build is missing.
    """
    links = [urljoin(address, link) for link in _Links(page).found]
    return [_build(links, version, machine, python) for machine in MACHINES for python in PYTHONS]


def _build(links: list[str], version: str, machine: str, python: str) -> Pin:
    tag = f"cp{python.replace('.', '')}"
    name = re.compile(rf"torch-{re.escape(version)}\+cpu-{tag}-{tag}-manylinux\w*_{machine}\.whl")
    for link in links:
        url, _, fragment = link.partition("#")
        if name.fullmatch(unquote(url).rpartition("/")[2]) and fragment.startswith("sha256="):
            marker = f"python_version == '{python}' and platform_machine == '{machine}'"
            return Pin(TORCH, url, marker, (fragment.replace("=", ":", 1),))
    raise ReleaseError(f"the index has no torch {version} for CPUs, {tag} and {machine}")


def main(page: str = TORCH_PAGE, file: Path = TORCH_CPU) -> int:
    """Ask the index and write the file; return the exit status."""
    found = _VERSION.search(Path("constraints.txt").read_text())
    assert found is not None
    with urllib.request.urlopen(page, timeout=SECONDS) as answer:
        pins = cpu_builds(answer.read().decode(), page, found[1])
    lines = [f"# Of {page}, by python -m tools.release.torch_cpu.", *map(str, pins)]
    file.write_text("\n".join(lines) + "\n")
    print(f"{file}: torch {found[1]}, {len(pins)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
