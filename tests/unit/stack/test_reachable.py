"""Run as root, Postgres' unprivileged user gets to its data and its programs, wherever they were put."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from pagemill.stack import reachable
from pagemill.stack.reachable import binaries, may_enter, server_directory


def account() -> pwd.struct_passwd:
    """Somebody who owns nothing here."""
    return pwd.struct_passwd(("stranger", "x", 54321, 54321, "", "/", "/bin/false"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that everybody may enter, below one that is open too."""
    closed = [parent for parent in (tmp_path, *tmp_path.parents[:3]) if not parent.stat().st_mode & 0o001]
    for parent in closed:
        parent.chmod(parent.stat().st_mode | 0o001)
    return tmp_path


def test_a_path_is_open_when_all_of_it_is(place: Path) -> None:
    inner = place / "a" / "b"
    inner.mkdir(parents=True, mode=0o711)
    (place / "a").chmod(0o711)
    assert may_enter(inner, account())
    (place / "a").chmod(0o700)
    assert not may_enter(inner, account())


def test_what_does_not_exist_yet_is_judged_by_what_does(place: Path) -> None:
    assert may_enter(place / "not" / "yet", account())
    place.chmod(0o700)
    assert not may_enter(place / "not" / "yet", account())


def test_the_owner_enters_what_is_closed_to_others(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    me = pwd.getpwuid(os.getuid())
    assert may_enter(closed, me)


def test_an_open_directory_is_used_itself(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "postgres_account", account)
    assert server_directory(place / "data", state=place / "state") == place / "data"


def test_a_closed_directory_has_one_place_that_stands_in_for_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachable, "postgres_account", account)
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    state = place / "state"
    assert server_directory(closed / "one", state=state) == closed / "one"
    assert not (closed / "one").exists()
    found = server_directory(closed / "one", create=True, state=state)
    assert found.is_relative_to(state)
    assert server_directory(closed / "one", state=state) == found
    assert server_directory(closed / "one", create=True, state=state) == found
    assert server_directory(closed / "two", create=True, state=state) != found


def test_a_directory_made_again_does_not_find_the_data_of_its_predecessor(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachable, "postgres_account", account)
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    before = server_directory(closed / "one", create=True, state=place / "state")
    shutil.rmtree(closed / "one")
    assert server_directory(closed / "one", create=True, state=place / "state") != before


def test_programs_that_cannot_be_reached_are_copied_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachable, "postgres_account", account)
    monkeypatch.setattr(reachable, "may_enter", lambda *_: False)
    state = place / "state"
    copied = binaries(state=state)
    alone = subprocess.run([copied / "postgres", "--version"], env={}, capture_output=True, text=True)
    assert alone.stdout.startswith("postgres (PostgreSQL)"), alone.stderr
    assert may_enter(copied, account())
    before = (copied / "postgres").stat().st_ino
    assert (binaries(state=state) / "postgres").stat().st_ino == before
    assert len(list(state.iterdir())) == 1


def test_without_root_nothing_is_moved(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert server_directory(place / "data") == place / "data"
    assert not binaries().is_relative_to(reachable.STATE)
