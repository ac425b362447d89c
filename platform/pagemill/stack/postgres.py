"""Embedded Postgres server: its programs come in a wheel, its data live in a directory.

The wheel's own wrapper is not used: it opens up permissions, trusts every connection, and takes a killed
server for a running one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pagemill.stack import guarded_directory
from pagemill.stack.directory import write_private
from pagemill.stack.guarded_directory import UnsafeDirectory
from pagemill.stack.reachable import (
    PostgresError,
    binaries,
    may_enter,
    postgres_account,
    server_directory,
)

__all__ = ["EmbeddedPostgres", "PostgresError", "free_port"]

START_SECONDS = 60.0
STOP_SECONDS = 20.0
USER = "pagemill"
"""The superuser: it makes roles and databases, and nothing that runs connects as it."""
OWNER, APPLICATION = "pagemill_owner", "pagemill_app"
"""The owner of the schema, who migrates it, and the role of all that runs."""
MEMORY_STILL_HELD = "shared memory block"
DATABASE = "pagemill"


class EmbeddedPostgres:
    """One server on 127.0.0.1 with its data below ``directory``, and roles with random passwords.

    Run as root, the server runs as an unprivileged user, who owns the data and nothing beside them. Where
    that user may not enter, they lie below /var/lib/pagemill instead: a file ``location`` in ``directory``
    says where.
    """

    def __init__(
        self, directory: Path, *, port: int | None = None, settings: dict[str, str] | None = None
    ) -> None:
        self._asked = directory
        self.directory = server_directory(directory)
        self.port = port or free_port()
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._account = postgres_account()

    @property
    def data(self) -> Path:
        """Return the directory of the data."""
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """Return the server's log file."""
        return self.directory / "postgres.log"

    @property
    def process_id(self) -> int | None:
        """Return the server's process id while it runs."""
        return self._process.pid if self.running() and self._process else None

    def url(self, database: str = DATABASE, *, role: str = USER) -> str:
        """Return the URL for a role, the superuser unless another one is named, with the password.

        Raises PostgresError when the role has none yet.
        """
        return f"postgresql://{role}:{quote(self._password(role))}@127.0.0.1:{self.port}/{database}"

    def prepare_roles(self) -> None:
        """Give the database, also one of a former release, to its owner, and make the application's role."""
        from db.administration import prepare_roles_sync

        passwords = {role: self._password(role, make=True) for role in (OWNER, APPLICATION)}
        prepare_roles_sync(
            self.url(),
            owner=OWNER,
            owner_password=passwords[OWNER],
            application=APPLICATION,
            application_password=passwords[APPLICATION],
        )

    def running(self) -> bool:
        """Return whether the server that this object started is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Create the data if there are none, start the server, wait for it. Raises PostgresError."""
        self._prepare_directories()
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._end_leftover()
        self._launch()
        self._wait()
        self._create_database()

    def stop(self) -> None:
        """Stop at once, without waiting for clients; committed data are kept."""
        if self._process is None:
            return
        if self.running():
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _prepare_directories(self) -> None:
        # A path of sockets is limited to about 100 bytes: only TCP is used, on this machine's own address.
        try:
            self.directory = server_directory(self._asked, create=True)
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PostgresError(f"{self.directory} cannot be made: {error}") from error
        if self._account is None:
            self.directory.chmod(0o700)
            return
        if not may_enter(self.directory.parent, self._account):
            raise PostgresError(f"{self._account.pw_name}, who runs Postgres, may not enter {self.directory}")
        try:
            guarded_directory.take(self.directory, theirs="data")
            if self.data.exists():
                guarded_directory.give(self.directory, "data", self._account)
        except UnsafeDirectory as error:
            raise PostgresError(error.message) from error

    def _password_file(self, role: str) -> Path:
        return self.directory / ("password" if role == USER else f"password-{role}")

    def _password(self, role: str = USER, *, make: bool = False) -> str:
        """Return the password of a role; ``make`` one the first time. Raises PostgresError without one."""
        file = self._password_file(role)
        if make and not file.exists():
            write_private(file, secrets.token_urlsafe(24).encode() + b"\n")
        try:
            return guarded_directory.read_file(file).strip()
        except FileNotFoundError:
            raise PostgresError(f"{self.directory} holds no Postgres data yet") from None

    def _initialise(self) -> None:
        if self.data.exists():
            shutil.rmtree(self.data)
        if self._account is not None:
            guarded_directory.give(self.directory, "data", self._account)
        password_file = self._password_for_initdb()
        command = [
            str(binaries() / "initdb"),
            f"--pgdata={self.data}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            "--encoding=UTF8",
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=_environment(), **self._identity()
            )
        finally:
            password_file.unlink(missing_ok=True)
        if done.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise PostgresError(f"initdb failed: {done.stderr.strip()[-1000:]}")

    def _password_for_initdb(self) -> Path:
        """Return a file with the superuser's password that the server's account can read."""
        # A password that was kept after a failed attempt stays: others may know it already.
        password = self._password(make=True)
        file = self.directory / "password-for-initdb"
        write_private(file, password.encode() + b"\n")
        if self._account is not None:
            os.chown(file, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)
        return file

    def _end_leftover(self) -> None:
        """End the server of a supervisor that was killed: it still holds the data."""
        leftover = self._recorded_process_id()
        if leftover is None or not self._serves_our_data(leftover):
            return
        os.kill(leftover, signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        while self._serves_our_data(leftover) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _recorded_process_id(self) -> int | None:
        try:
            return int(guarded_directory.read_file(self.data / "postmaster.pid").splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _serves_our_data(self, process_id: int) -> bool:
        """Return whether a process is our server, by its command line: process ids are used again."""
        try:
            return str(self.data).encode() in Path(f"/proc/{process_id}/cmdline").read_bytes()
        except OSError:
            return False

    def _launch(self) -> None:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "log_timezone": "UTC",
            **self._settings,
        }
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        with os.fdopen(guarded_directory.open_log(self.log), "ab") as log:
            self._process = subprocess.Popen(
                [str(binaries() / "postgres"), "-D", str(self.data), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,
                **self._identity(),
            )

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        patience = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if self._ready():
                return
            if not self.running():
                tail = _tail(self.log)
                # The children of a killed server take a moment to notice and to let go of its memory.
                if MEMORY_STILL_HELD not in tail[-400:] or time.monotonic() > patience:
                    raise PostgresError(f"postgres did not start: {tail}")
                self._launch()
            time.sleep(0.02)
        self.stop()
        raise PostgresError(f"postgres did not answer within {START_SECONDS:g} s: {_tail(self.log)}")

    def _ready(self) -> bool:
        """Return whether the server accepts connections, as the eighth line of its lock file says.

        A file left by a killed server says so too, but names another process.
        """
        try:
            lines = guarded_directory.read_file(self.data / "postmaster.pid").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready" and lines[0].strip() == str(self.process_id)

    def _create_database(self) -> None:
        from db.administration import create_database_sync

        create_database_sync(self.url("postgres"), DATABASE)

    def _identity(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        return {
            "user": self._account.pw_uid,
            "group": self._account.pw_gid,
            "extra_groups": [],
            "cwd": "/",
        }


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    """Return the server's environment, without our secrets."""
    kept = ("PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _tail(path: Path) -> str:
    try:
        return guarded_directory.read_file(path).strip()[-1000:]
    except OSError:
        return "it left no log"
