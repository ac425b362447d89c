"""Nothing of the official clients was left out. Runs last, and only after all that calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clients import METHODS, RecordingClient
from tests.support.command_line import CommandLine, commands


def require_all(request: pytest.FixtureRequest, pattern: str) -> None:
    """Skip unless this session has run every test module of that kind."""
    wanted = {path.name for path in Path(__file__).parent.glob(pattern)}
    run = {item.path.name for item in request.session.items}
    if not wanted <= run:
        pytest.skip(f"only some of {pattern} were run")


def test_every_method_of_the_python_sdk_was_called(request: pytest.FixtureRequest) -> None:
    require_all(request, "test_python_sdk_*.py")

    assert METHODS - RecordingClient.used == set()


def test_every_command_of_the_command_line_client_was_run(
    request: pytest.FixtureRequest, command_line: CommandLine
) -> None:
    require_all(request, "test_cli_*.py")

    assert commands() - command_line.used == set()
