"""Data directory of a stack: its files, and who may use them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from pagemill.client_credentials import new_client_id, new_client_secret
from pagemill.errors import PagemillError
from pagemill.ids import AppClientId, OrganizationId, new_id
from pagemill.secret_box import new_secret_key

Content = TypeVar("Content")

MARKER = "PAGEMILL_STACK"
"""Every process of a stack carries this variable: it names the data directory that the process belongs to."""


LOCK_SECONDS = 0.5
"""``status`` holds the lock for a moment when it looks whether anybody does."""


class StackError(PagemillError):
    """The stack cannot do what was asked; the message is for the operator."""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """The first organization and its app client."""

    organization_id: OrganizationId
    app_client_id: AppClientId
    client_id: str
    client_secret: str


class DataDirectory:
    """Paths below one directory. Secret files have mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def marker(self) -> str:
        """Return the value of MARKER in the environment of this stack's processes."""
        return hashlib.sha256(str(self.path).encode()).hexdigest()[:24]

    @property
    def postgres(self) -> Path:
        """Return the directory of the embedded Postgres."""
        return self.path / "postgres"

    @property
    def objects(self) -> Path:
        """Return the directory of objects."""
        return self.path / "objects"

    @property
    def models(self) -> Path:
        """Return the directory of the models that the prediction replicas of this machine have fetched."""
        return self.path / "models"

    @property
    def metrics(self) -> Path:
        """Return the directory in which the API's processes count together."""
        return self.path / "metrics"

    @property
    def logs(self) -> Path:
        """Return the directory of logs."""
        return self.path / "logs"

    @property
    def tls(self) -> Path:
        """Return the directory of certificates."""
        return self.path / "tls"

    @property
    def ca_certificate(self) -> Path:
        """Return the certificate that clients trust."""
        return self.tls / "ca.pem"

    @property
    def ray_token(self) -> Path:
        """Return the file with Ray's token."""
        return self.path / "ray-token"

    @property
    def state(self) -> Path:
        """Return the file with the supervisor's state."""
        return self.path / "state.json"

    def log(self, part: str) -> Path:
        """Return the log file of a part."""
        return self.logs / f"{part}.log"

    def prepare(self) -> None:
        """Create what is missing. Raises StackError when the directory cannot be used."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Run as root, Postgres runs as somebody else, who has to pass through.
            self.path.chmod(0o711 if os.getuid() == 0 else 0o700)
            for directory in (self.objects, self.logs, self.tls):
                directory.mkdir(exist_ok=True)
                directory.chmod(0o700)
        except OSError as error:
            raise StackError(f"the data directory {self.path} cannot be used: {error}") from error

    def token_key(self) -> str:
        """Return the key that signs access tokens; make it the first time."""
        return self._kept("token-key", _random_secret)

    def secret_keys(self) -> str:
        """Return the keys that seal secrets, in the form of the setting; make one the first time."""
        return self._kept("secret-keys", lambda: new_secret_key("1"))

    def kept_secret_keys(self) -> str | None:
        """Return the keys that seal secrets, None when none were made."""
        return self.secret_keys() if (self.path / "secret-keys").exists() else None

    def write_ray_token(self) -> Path:
        """Return the file with the token of Ray's processes; write it the first time."""
        self._kept("ray-token", _random_secret)
        return self.ray_token

    def credentials(self) -> Credentials:
        """Return the first app client. Raises StackError before the first ``up``."""
        found = self.read(self.path / "credentials.json", Credentials)
        if found is None:
            raise StackError(f"there is no stack in {self.path} yet: run `pagemill up` first")
        return found

    def credentials_made_once(self) -> Credentials:
        """Return the first app client; write new credentials when there are none yet."""
        return credentials_kept_in(self.path / "credentials.json")

    def read(self, path: Path, kind: type[Content]) -> Content | None:
        """Read a JSON file; None when it is missing. Raises StackError when it is damaged."""
        return read_json(path, kind)

    def write(self, path: Path, content: Any) -> None:
        """Write a JSON file of mode 0600; readers see the old one or the new one."""
        write_json(path, content)

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        path = self.path / name
        if not path.exists():
            write_private(path, make().encode())
        return path.read_text().strip()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory's lock. Raises StackError when another ``up`` runs this stack."""
        with self._lock_file().open("r+") as file:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _locks(file):
                if time.monotonic() > deadline:
                    raise StackError(
                        f"a stack already runs in {self.path} (process {file.read().strip() or 'unknown'}): "
                        "stop it with `pagemill down`, or choose another --data-dir"
                    )
                time.sleep(0.05)
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            yield
            file.seek(0)
            file.truncate()

    def supervisor(self) -> int | None:
        """Return the process id of the ``up`` that runs this stack now, None without one."""
        if not self.path.is_dir():
            return None
        with self._lock_file().open("r+") as file:
            text = "" if _locks(file) else file.read().strip()
        return int(text) if text.isdigit() else None

    def _lock_file(self) -> Path:
        path = self.path / "lock"
        if not path.exists():
            path.touch(mode=0o600)
        return path


def credentials_kept_in(path: Path) -> Credentials:
    """Return the first app client that a file names; write new credentials when there is none.

    Raises StackError when the file is damaged, and OSError when it cannot be written.
    """
    found = read_json(path, Credentials)
    if found is None:
        found = Credentials(
            organization_id=new_id(OrganizationId),
            app_client_id=new_id(AppClientId),
            client_id=new_client_id(),
            client_secret=new_client_secret(),
        )
        write_json(path, found)
    return found


def read_json(path: Path, kind: type[Content]) -> Content | None:
    """Read a JSON file; None when it is missing. Raises StackError when it is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise StackError(f"{path} cannot be read: {error}") from error


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file of mode 0600; readers see the old one or the new one."""
    write_private(path, msgspec.json.format(msgspec.json.encode(content)) + b"\n")


def _random_secret() -> str:
    return secrets.token_hex(32)


def _locks(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read; readers see the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
