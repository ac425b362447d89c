"""Registry of images on this machine, with a user: Debian's, where its program is at hand."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "docker-registry"
USER, PASSWORD = "somebody", "a password"
# The only kind of hash that it takes; this one is of PASSWORD.
HASH = "$2b$04$sQs275yfFasVORvcbI4.YOI0zLtC0SXyNJUqOTY0zR5K0IhmrvQ.G"
CONFIGURATION = """
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: "{directory}/images"}}}}
http: {{addr: "127.0.0.1:0", secret: "of a test"}}
auth: {{htpasswd: {{realm: test, path: "{directory}/users"}}}}
"""
LISTENING = re.compile(r"listening on 127\.0\.0\.1:([0-9]+)")
START_SECONDS = 60.0


@dataclass(frozen=True)
class Registry:
    """A running registry. ``place`` is its host and port."""

    place: str
    log: Path

    def requests(self) -> list[str]:
        """Return the requests that it has answered, like ``GET /v2/step/manifests/1``."""
        return re.findall(r'"((?:GET|HEAD) /v2/[^ ]+) HTTP', self.log.read_text())


def missing_registry() -> str:
    """Return why no registry can be run here, empty when one can."""
    return "" if shutil.which(PROGRAM) else f"not installed: {PROGRAM}"


@contextlib.contextmanager
def running_registry(directory: Path) -> Iterator[Registry]:
    """Run a registry with the user ``USER`` while the block runs."""
    (directory / "users").write_text(f"{USER}:{HASH}\n")
    configuration, log = directory / "registry.yml", directory / "registry.log"
    configuration.write_text(CONFIGURATION.format(directory=directory))
    with log.open("wb") as output:
        process = subprocess.Popen([PROGRAM, "serve", configuration], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (found := LISTENING.search(log.read_text())):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, "the registry does not start"
            time.sleep(0.05)
        yield Registry(f"127.0.0.1:{found[1]}", log)
    finally:
        process.terminate()
        process.wait(timeout=60)
