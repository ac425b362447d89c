"""Progress of ``pagemill up``: plain lines for programs, a spinner for people."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pagemill.stack.progress import ConsoleProgress


@pytest.fixture
def output() -> io.StringIO:
    """What is printed."""
    return io.StringIO()


@pytest.fixture
def plain(output: io.StringIO) -> ConsoleProgress:
    """Progress that goes to a file."""
    return ConsoleProgress(Console(file=output, width=40))


@pytest.fixture
def terminal(output: io.StringIO) -> ConsoleProgress:
    """Progress on a terminal."""
    return ConsoleProgress(Console(file=output, width=40, force_terminal=True))


def test_the_line_that_programs_wait_for_is_alone_on_its_line(
    plain: ConsoleProgress, output: io.StringIO
) -> None:
    plain.waiting_for(["postgres", "api"])
    plain.say("postgres up after 1.2 s")
    plain.waiting_for([])
    plain.ready("https://localhost:8443/a/path/longer/than/the/console/is/wide")
    assert output.getvalue().splitlines() == [
        "postgres up after 1.2 s",
        "ready https://localhost:8443/a/path/longer/than/the/console/is/wide",
    ]


def test_brackets_are_no_markup(plain: ConsoleProgress, output: io.StringIO) -> None:
    plain.say("api down ([bold]exit status 1[/bold]), starting it again")
    assert output.getvalue() == "api down ([bold]exit status 1[/bold]), starting it again\n"


def test_stopping_is_said(plain: ConsoleProgress, output: io.StringIO) -> None:
    plain.stopping()
    assert output.getvalue() == "stopping\n"


def test_a_terminal_shows_what_is_waited_for(terminal: ConsoleProgress, output: io.StringIO) -> None:
    terminal.waiting_for(["postgres", "ray", "api"])
    terminal.waiting_for(["postgres", "api"])
    terminal.ready("https://localhost:8443")
    assert "starting postgres, api" in output.getvalue()
    assert "ready https://localhost:8443" in output.getvalue()


def test_the_spinner_ends_when_nothing_is_waited_for(terminal: ConsoleProgress, output: io.StringIO) -> None:
    terminal.waiting_for(["api"])
    terminal.waiting_for([])
    before = output.getvalue()
    terminal.waiting_for([])
    assert output.getvalue() == before
