"""A process with keys cannot be read by others of its user."""

from __future__ import annotations

import subprocess
import sys

import pytest

PR_GET_DUMPABLE = 3
ASKED = f"""
import ctypes
print(ctypes.CDLL(None).prctl({PR_GET_DUMPABLE}))
"""
DEPLOYING = """
import os
from pagemill.cluster.deploy import main
for name in [name for name in os.environ if name.startswith("PAGEMILL_")]:
    del os.environ[name]
assert main() == 1
"""
WATCHING = """
import asyncio, os, signal, sys
from pagemill.stack.deploying import keep_deployed
asyncio.run(keep_deployed(print, program=["/bin/sh", "-c", f"kill -TERM {os.getpid()}; exec sleep 60"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux conceals processes")
@pytest.mark.parametrize(
    ("before", "dumpable"), [("", "1"), (DEPLOYING, "0"), (WATCHING, "0")], ids=["others", "deploy", "watch"]
)
def test_whoever_deploys_conceals_itself(before: str, dumpable: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", before + ASKED], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.split()[-1] == dumpable
