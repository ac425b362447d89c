"""The Chromium of this machine; none is downloaded."""

from __future__ import annotations

import os
import shutil
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
VARIABLE: Final = "PAGEMILL_CHROMIUM"
# As root Chromium cannot confine itself, and small machines have little shared memory.
OPTIONS: Final = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--force-color-profile=srgb")


def chromium_path() -> str | None:
    """Return the program, None where there is none."""
    named = os.environ.get(VARIABLE)
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)
