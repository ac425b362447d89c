"""Links that the database's user has planted: root follows none of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pagemill.stack import guarded_directory
from pagemill.stack.guarded_directory import UnsafeDirectory
from pagemill.stack.postgres import EmbeddedPostgres, PostgresError
from pagemill.stack.reachable import postgres_account
from tests.support.directories import temporary_directory

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root runs Postgres as somebody else")

THEIRS = ("postgres.log", "password", "password-pagemill_app", "password-for-initdb", "location", "anything")


@pytest.fixture
def place() -> Iterator[Path]:
    with temporary_directory("pagemill-") as directory:
        yield directory


@pytest.fixture
def secret(place: Path) -> Path:
    """A file of root's that others must neither own, read nor change."""
    secret = place / "secret"
    secret.write_text("root's own\n")
    secret.chmod(0o600)
    return secret


def of_the_account(directory: Path) -> None:
    """As a former release left a directory: the database's user owns it and all in it."""
    account = postgres_account()
    assert account is not None
    for path in (directory, *directory.iterdir()):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    directory.chmod(0o700)


def is_untouched(secret: Path) -> bool:
    status = secret.stat()
    return (status.st_uid, stat.S_IMODE(status.st_mode), secret.read_text()) == (0, 0o600, "root's own\n")


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_no_planted_link_is_followed(place: Path, secret: Path, link: object) -> None:
    directory = place / "postgres"
    server = EmbeddedPostgres(directory)
    server.start()
    server.stop()
    kept = {name: (directory / name).read_text() for name in ("password",)}
    of_the_account(directory)
    for name in THEIRS:
        if name not in kept:
            (directory / name).unlink(missing_ok=True)
            link(secret, directory / name)  # type: ignore[operator]
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        server.prepare_roles()
        assert is_untouched(secret)
        assert (directory / "password").read_text() == kept["password"]
        assert secret.read_text() not in server.url(role="pagemill_app")
        status = directory.stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o711)
        theirs = [path.name for path in directory.iterdir() if path.lstat().st_uid != 0]
        assert theirs == ["data"]
    finally:
        server.stop()


def test_data_that_are_a_link_are_refused(place: Path) -> None:
    directory = place / "postgres"
    directory.mkdir()
    (place / "elsewhere").mkdir()
    (directory / "data").symlink_to(place / "elsewhere")
    with pytest.raises(PostgresError, match=r"data is no directory, or a link"):
        EmbeddedPostgres(directory).start()
    assert (place / "elsewhere").stat().st_uid == 0


def test_a_directory_that_is_a_link_is_refused(place: Path) -> None:
    (place / "elsewhere").mkdir()
    (place / "link").symlink_to(place / "elsewhere")
    with pytest.raises(UnsafeDirectory, match="is no directory, or a link"):
        guarded_directory.take(place / "link", theirs="data")


@pytest.mark.parametrize("others", ["owner", "writable"])
def test_a_parent_of_somebody_else_is_refused(place: Path, others: str) -> None:
    parent = place / "parent"
    parent.mkdir(mode=0o755)
    account = postgres_account()
    assert account is not None
    if others == "owner":
        os.chown(parent, account.pw_uid, account.pw_gid)
    else:
        parent.chmod(0o777)
    with pytest.raises(PostgresError, match="can be changed by"):
        EmbeddedPostgres(parent / "postgres").start()


def test_a_link_where_a_process_id_is_expected_is_not_read(place: Path, secret: Path) -> None:
    (place / "postmaster.pid").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        guarded_directory.read_file(place / "postmaster.pid")
    os.mkfifo(place / "pipe")
    with pytest.raises(OSError, match="is not a file"):
        guarded_directory.read_file(place / "pipe")
