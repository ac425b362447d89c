"""Tesseract on the same pages, where the distribution's package is installed."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.previous_reading import first_page

NO_LIMIT = float("inf")
MISSING = "tesseract is not installed (distribution package tesseract-ocr)"
PAGE_SECONDS = 120.0


class Tesseract:
    """Tesseract with a thread, English, and its automatic page segmentation."""

    def words(self, path: Path) -> list[str]:
        """Return the words of the first page, which it gets in full resolution."""
        with tempfile.NamedTemporaryFile(suffix=".png") as picture:
            if path.suffix.lower() == ".pdf":
                # Tesseract's manual recommends 300 dots per inch.
                first_page(path.read_bytes(), 300 / 72, longest_side=NO_LIMIT).save(picture.name)
                path = Path(picture.name)
            done = subprocess.run(
                ["tesseract", str(path), "stdout", "--psm", "3", "-l", "eng"],
                env={**os.environ, "OMP_THREAD_LIMIT": "1"},
                capture_output=True,
                check=True,
                timeout=PAGE_SECONDS,
            )
        return done.stdout.decode().split()

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the processes that this one has waited for."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime


def find_tesseract() -> Tesseract | None:
    """Return it, None where it is not installed."""
    return Tesseract() if shutil.which("tesseract") else None


def version() -> str:
    """Return the version that is installed."""
    done = subprocess.run(["tesseract", "--version"], capture_output=True, check=True)
    return done.stdout.decode().splitlines()[0].removeprefix("tesseract ")
