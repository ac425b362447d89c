"""Containerfiles: their instructions, and checks of these."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.manifests.documents import ROOT

USER = "10001:10001"
NEEDED = ("FROM", "USER", "ENTRYPOINT", "ENV")
SERVERS = ("CMD", "HEALTHCHECK", "EXPOSE")
"""Needed of what stays; a step of a workflow ends by itself."""
INSTRUCTIONS = frozenset({*NEEDED, *SERVERS, "ARG", "COPY", "LABEL", "RUN", "WORKDIR"})
_INSTRUCTION = re.compile(r"^([A-Za-z]+)\s+(.*)$", re.DOTALL)
_WORDS = re.compile(r"\[.*\]$", re.DOTALL)


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions of a Containerfile in their order, each with what follows its name."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        (found[1], found[2].strip())
        for found in map(_INSTRUCTION.match, filter(None, joined.splitlines()))
        if found is not None
    ]


def words_of(path: Path, instruction: str) -> list[str]:
    """The words of the last ENTRYPOINT, CMD or HEALTHCHECK, which are written as a list."""
    [*_, value] = [value for name, value in instructions(path) if name == instruction]
    words: list[str] = json.loads(_WORDS.findall(value)[0])
    return words


def environment_of(path: Path) -> Mapping[str, str]:
    """The variables of the image."""
    [value] = [value for name, value in instructions(path) if name == "ENV"]
    return dict(word.split("=", 1) for word in value.split())


def faults_in(path: Path, root: Path = ROOT, *, serves: bool = True) -> list[str]:
    """Return the faults of a Containerfile, of a server unless it is said otherwise."""
    needed = (*NEEDED, *SERVERS) if serves else NEEDED
    return [f"{path.name}: {fault}" for fault in _faults(path, root, needed)]


def _faults(path: Path, root: Path, needed: Sequence[str]) -> Iterator[str]:
    found = instructions(path)
    yield from (f"{name} is no instruction" for name, _ in found if name not in INSTRUCTIONS)
    names = [name for name, _ in found]
    for wanted in needed:
        if wanted not in names:
            yield f"there is no {wanted}"
            return
    bases = {value.split()[0] for name, value in found if name == "FROM"}
    if found[0] != ("ARG", "BASE") or bases != {"${BASE}"}:
        yield "its base is not the one that is named by the build"
    if [value for name, value in found if name == "USER"][-1] != USER:
        yield f"its user is not {USER}"
    yield from _broken_lists(path, names)
    yield from _missing_files([value for name, value in found if name == "COPY"], root)
    for value in (value for name, value in found if name == "RUN"):
        if not all(
            "--require-hashes" in words or "--no-index" in words
            for words in map(str.split, re.findall(r"pip install [^&;]*", value))
        ):
            yield "it installs what has no hash"


def _broken_lists(path: Path, names: Sequence[str]) -> Iterator[str]:
    for instruction in {"ENTRYPOINT", "CMD", "HEALTHCHECK"} & set(names):
        try:
            words_of(path, instruction)
        except (IndexError, ValueError):
            yield f"{instruction} is no list of words"


def _missing_files(copies: Sequence[str], root: Path) -> Iterator[str]:
    """Files of the working tree; those of dist/ are made by a release, others by a stage."""
    for copy in copies:
        words = copy.split()
        if any(word.startswith("--from=") for word in words):
            continue
        for source in (word for word in words[:-1] if not word.startswith(("--", "dist/"))):
            if not (root / source).is_file():
                yield f"there is no {source}"
