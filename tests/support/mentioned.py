"""What a document tells its reader to use: commands, make targets and settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from pagemill.cli import main
from pagemill.settings import Settings

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"```(?:\w*)\n(.*?)```|`([^`\n]+)`", re.DOTALL)
COMMAND = re.compile(r"(?:^|[\s(|])pagemill( [^|>&#)\n]*)", re.MULTILINE)
TARGET = re.compile(r"(?:^|`)(?:[A-Z_]+=\S+ )*make ([a-z-]+)", re.MULTILINE)
SETTING = re.compile(r"\bPAGEMILL_([A-Z0-9_]*[A-Z0-9])\b")


def code_in(text: str) -> list[str]:
    """The blocks and the spans of code in Markdown."""
    return [block or span for block, span in CODE.findall(text)]


def commands_in(text: str) -> list[list[str]]:
    """The arguments of every ``pagemill`` in a document's code."""
    return [shlex.split(arguments) for code in code_in(text) for arguments in COMMAND.findall(code)]


def unknown_in(arguments: list[str]) -> Iterator[str]:
    """Which words of a command the command line does not know; what is in capitals stands for something."""
    command: click.Command = main
    for word in arguments:
        if word == "--":
            return
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        if word.startswith("-"):
            if word not in options:
                yield word
        elif isinstance(command, click.Group):
            found = command.commands.get(word)
            if found is None:
                yield word
                return
            command = found


def targets_in(text: str) -> set[str]:
    """The make targets that a document mentions."""
    return set(TARGET.findall(text))


def make_targets() -> set[str]:
    """Those that there are."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def settings_in(text: str) -> set[str]:
    """The ``PAGEMILL_*`` that a document mentions, without the prefix."""
    return set(SETTING.findall(text))


def known_settings() -> set[str]:
    """Those that there are."""
    return {field.name.upper() for field in msgspec.structs.fields(Settings)}
