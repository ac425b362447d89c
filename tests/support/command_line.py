"""The official command line client in this process: as quick as a call, and its answers are looked at."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from lascli.__main__ import create_parser, main

Answer = dict[str, Any]


class CommandLine:
    """``las`` with the arguments of a call. ``used`` are the commands that were run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.used: set[str] = set()

    def text(self, *arguments: object) -> str:
        """What a command prints."""
        words = [str(argument) for argument in arguments]
        self.used.add(" ".join(words[:2]))
        output = io.StringIO()
        with mock.patch.object(sys, "argv", ["las", *words]), contextlib.redirect_stdout(output):
            main()
        return output.getvalue()

    def __call__(self, *arguments: object) -> Answer:
        """The object that a command prints, after whatever else it says."""
        lines = self.text(*arguments).splitlines()
        return json.loads("\n".join(lines[lines.index("{") :]))  # type: ignore[no-any-return]

    def file(self, name: str, content: bytes | object) -> Path:
        """A file for a command: bytes as they are, anything else as JSON."""
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path


def commands() -> set[str]:
    """Every command of the client."""
    return set(_leaves(create_parser(), ()))


def _leaves(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> Iterator[str]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield " ".join(path)
    for group in groups:
        for name, child in group.choices.items():
            yield from _leaves(child, (*path, name))
