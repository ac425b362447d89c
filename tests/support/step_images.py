"""Image for steps, made of this machine's Python: no registry is needed, and no distribution.

Its program is the value of ``PROGRAM`` in the environment. The official client ``las`` is inside.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import certifi

START = "import os; exec(compile(os.environ['PROGRAM'], 'program', 'exec'))"
PACKAGES = "/packages"
SITE = "site-packages"
# What the programs of tests import, and what Python itself imports later than at its start.
WANTED = (
    "las, ssl, json, signal, time, os, sys, socket, threading, subprocess, pathlib, _strptime, "
    "encodings.ascii, encodings.cp437, encodings.idna, encodings.latin_1, encodings.utf_8"
)
LISTING = f"""
import {WANTED}
files = {{one.__file__ for one in list(sys.modules.values()) if getattr(one, "__file__", None)}}
print(json.dumps(sorted(files)))
"""


def write_image(path: Path) -> None:
    """Write the file system of the image as a tar archive of about 50 MB."""
    done = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, check=True, timeout=60)
    files = json.loads(done.stdout)
    python = Path(sys.executable).resolve()
    libraries = _libraries([python, *(Path(one) for one in files if ".so" in Path(one).name)])
    names = {
        one: f"{PACKAGES}/{_below_site(one)}" if SITE in one.parts else str(one) for one in map(Path, files)
    }
    with tarfile.open(path, "w") as archive:
        # Docker makes directories that are not named, and lets nobody enter them.
        inside = [
            *names.values(),
            f"{PACKAGES}/certifi/cacert.pem",
            str(python),
            *map(str, libraries),
            "/bin/python",
        ]
        parents = {str(parent).lstrip("/") for name in inside for parent in Path(name).parents}
        for directory in sorted({"tmp", "run", "etc", "proc", "dev", "sys", *parents} - {"", "."}):
            archive.addfile(_directory(directory))
        for one, name in names.items():
            _add(archive, one, name)
        _add(archive, Path(certifi.where()), f"{PACKAGES}/certifi/cacert.pem")
        for library in sorted(libraries):
            _add(archive, library, str(library))
        _add(archive, python, str(python))
        link = tarfile.TarInfo("bin/python")
        link.type, link.linkname = tarfile.SYMTYPE, str(python)
        archive.addfile(link)


def import_changes() -> list[str]:
    """Return what ``podman import --change`` has to be told."""
    python = str(Path(sys.executable).resolve())
    return [f"ENTRYPOINT {json.dumps([python, '-u', '-c', START])}", f"ENV PYTHONPATH={PACKAGES}"]


def _below_site(path: Path) -> Path:
    return Path(*path.parts[path.parts.index(SITE) + 1 :])


def _libraries(programs: Iterable[Path]) -> set[Path]:
    """Return the shared libraries that programs need, with the loader."""
    found: set[Path] = set()
    for program in programs:
        done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False, timeout=20)
        found.update(Path(word) for word in done.stdout.split() if word.startswith("/"))
    return found


def _add(archive: tarfile.TarFile, source: Path, name: str) -> None:
    content = source.read_bytes()
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.size, entry.mode = len(content), 0o755 if os.access(source, os.X_OK) else 0o644
    archive.addfile(entry, io.BytesIO(content))


def _directory(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    return entry
