"""The ``tesseract`` program, where the operator has installed it: one bounded call for one picture."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.recognition.scripts import SCRIPTS, ScriptName

PROGRAM = "tesseract"
ENVIRONMENT_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "TESSDATA_PREFIX")
MAX_OUTPUT = 8 * 2**20
"""Bytes: a page has at most some thousand words of about 60 bytes in Tesseract's table."""
LISTING_SECONDS = 10.0

logger = logging.getLogger(__name__)


class TesseractFailed(Exception):
    """A call of the program gave no result: it took too long, wrote too much or ended with an error."""


class TesseractProgram:
    """The program and the data that are installed with it. Thread-safe.

    ``data`` has for each script that can be read what the program's ``-l`` is given.
    """

    def __init__(self, path: str, languages: Sequence[str], *, processes: int = 2) -> None:
        self.path = path
        self.data: dict[ScriptName, str] = find_data(languages)
        self.detects_scripts = "osd" in languages
        self._turn = threading.BoundedSemaphore(processes)

    def table(self, pixels: NDArray[np.uint8], script: ScriptName, seconds: float) -> str:
        """Return the words of a picture as tab-separated values. Raises TesseractFailed."""
        options = ("-l", self.data[script], "--psm", "3", "tsv")
        return self._call(pixels, options, seconds)

    def script_detection(self, pixels: NDArray[np.uint8], seconds: float) -> str:
        """Return what the program says about the script of a picture. Raises TesseractFailed."""
        return self._call(pixels, ("-l", "osd", "--psm", "0"), seconds)

    def _call(self, pixels: NDArray[np.uint8], options: Sequence[str], seconds: float) -> str:
        with self._turn, tempfile.TemporaryFile() as picture:
            picture.write(portable_graymap(pixels))
            picture.seek(0)
            return _run([self.path, "stdin", "stdout", *options], picture, seconds)


def find_program(*, processes: int = 2) -> TesseractProgram | None:
    """Return the program on the PATH with the data that it lists, None without one that answers."""
    path = shutil.which(PROGRAM)
    if path is None:
        return None
    try:
        listed = _run([path, "--list-langs"], subprocess.DEVNULL, LISTING_SECONDS)
    except TesseractFailed as error:
        logger.warning("tesseract is not used: %s", error)
        return None
    return TesseractProgram(path, listed.split("\n")[1:], processes=processes)


def find_data(languages: Sequence[str]) -> dict[ScriptName, str]:
    """Return the data for each script that is among those installed.

    A script's own data come first; Debian lists them by name, others below ``script/``. Otherwise languages
    of the script are read together with English.
    """
    found: dict[ScriptName, str] = {}
    for script in SCRIPTS:
        own = [name for name in (script.name, f"script/{script.name}") if name in languages]
        single = [language for language in script.languages if language in languages]
        if own:
            found[script.name] = own[0]
        elif single:
            found[script.name] = "+".join([*single, *(["eng"] if "eng" in languages else [])])
    return found


def portable_graymap(pixels: NDArray[np.uint8]) -> bytes:
    """Return RGB pixels as a PGM file, which is as large as it is simple."""
    red, green, blue = (pixels[:, :, channel].astype(np.uint16) for channel in range(3))
    # The luma weights of ITU-R BT.601 in 256ths.
    grey = ((77 * red + 150 * green + 29 * blue) >> 8).astype(np.uint8)
    height, width = grey.shape
    return b"P5 %d %d 255\n" % (width, height) + grey.tobytes()


def _run(command: Sequence[str], picture: IO[bytes] | int, seconds: float) -> str:
    kept = {name: os.environ[name] for name in ENVIRONMENT_KEPT if name in os.environ}
    try:
        process = subprocess.Popen(
            command,
            stdin=picture,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | {"OMP_THREAD_LIMIT": "1"},
            start_new_session=True,
        )
    except OSError as error:
        raise TesseractFailed(f"it cannot be started: {error.strerror}") from error
    with process:
        output = _bounded_output(process, seconds)
    if process.returncode != 0:
        raise TesseractFailed(f"it ended with status {process.returncode}")
    return output.decode("utf-8", errors="replace")


def _bounded_output(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """Read what a process writes and wait for its end; kill it when it takes too long or writes too much."""
    late = threading.Event()

    def end() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        assert process.stdout is not None
        output = process.stdout.read(MAX_OUTPUT + 1)
        if len(output) > MAX_OUTPUT:
            raise TesseractFailed(f"it wrote more than {MAX_OUTPUT} bytes")
        process.wait()
    finally:
        timer.cancel()
        timer.join()
        _kill(process)
    if late.is_set():
        raise TesseractFailed(f"it took longer than {seconds:g} seconds")
    return output


def _kill(process: subprocess.Popen[bytes]) -> None:
    # The whole session: what the program has started would hold its output open.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
