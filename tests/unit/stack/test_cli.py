"""The command line teaches, and errors are one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pagemill.cli import main


@pytest.mark.parametrize(
    ("command", "taught"),
    [
        ([], 'eval "$(pagemill env)"'),
        (["up"], "PAGEMILL_DATABASE_URL"),
        (["up"], "ready https://localhost:PORT"),
        (["down"], "wait until nothing"),
        (["env"], "curl and Node"),
        (["status"], "exit status is 1"),
        (["secrets"], "PAGEMILL_SECRET_KEYS"),
    ],
)
def test_help_teaches(command: list[str], taught: str) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert taught in result.output


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))


@pytest.mark.parametrize("command", list(every_command(main)), ids=" ".join)
def test_help_of_every_command_can_be_read(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    usage, _, rest = result.output.partition("\n\n")
    assert usage.startswith("Usage: ")
    summary = rest.strip().splitlines()[0].strip()
    assert summary[0].isupper()
    assert len(summary) > 15
    # The mark before lines that click must not fill, as a raw string has it.
    assert "\\b" not in result.output
    assert max(map(len, result.output.splitlines())) <= 100


def test_nothing_to_show_before_the_first_up(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["env", "--data-dir", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert result.stderr.startswith("pagemill: there is no stack in")
    assert result.stderr.count("\n") == 1


def test_nothing_to_stop(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["down", "--data-dir", str(tmp_path / "none")])
    assert (result.exit_code, result.output) == (0, "nothing was running\n")
    assert not (tmp_path / "none").exists()


def test_status_of_nothing_is_down(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["status", "--json", "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert '"running": false' in result.output


def test_a_wrong_setting_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEMILL_JOB_LEASE", "for ever")
    result = CliRunner().invoke(main, ["up", "--data-dir", str(tmp_path / "data"), "--port", "9443"])
    assert result.exit_code == 1
    assert "job_lease" in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_secret_keys_are_one_line_without_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGEMILL_SECRET_KEYS", "1:c2hvcnQ=")
    result = CliRunner().invoke(main, ["up", "--data-dir", str(tmp_path / "data"), "--port", "9443"])
    assert result.exit_code == 1
    assert "PAGEMILL_SECRET_KEYS" in result.stderr
    assert "c2hvcnQ" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_command_starts_fast_because_it_imports_little() -> None:
    heavy = ("ray", "torch", "litestar", "asyncpg", "rich", "cryptography", "aioboto3")
    program = f"import sys, pagemill.cli; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_supervisor_is_no_ray_process() -> None:
    program = (
        "import sys, pagemill.stack.supervisor; "
        "print([name for name in ('ray', 'torch', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
