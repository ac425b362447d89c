"""A process with keys cannot be read by others of its user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

PR_GET_DUMPABLE = 3
ASKED = f"""
import ctypes
print(ctypes.CDLL(None).prctl({PR_GET_DUMPABLE}), flush=True)
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

DISPATCHING = """
import asyncio, os
from pagemill.cluster.assignment import Assignment, DispatcherKeys, DispatcherName
from pagemill.cluster.dispatcher import DispatcherActor
from pagemill.work.roles import Role

os.environ |= {"PAGEMILL_DATABASE_URL": "postgresql://unused", "PAGEMILL_OBJECTS_URL": "file:///unused"}

async def dispatch():
    name = DispatcherName(Role.HOUSEKEEPING, 1, 0)
    DispatcherActor(Assignment(name=name, keys=DispatcherKeys(secret_keys="1:unused")))
    exec(ASKED)
    # What it would work with is not there.
    os._exit(0)

asyncio.run(dispatch())
"""
AS_NOBODY_IN_PARTICULAR = ("setpriv", "--inh-caps=-sys_ptrace", "--bounding-set=-sys_ptrace")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux conceals processes")
@pytest.mark.parametrize(("before", "dumpable"), [("", "1"), (WATCHING, "0")], ids=["others", "watch"])
def test_whoever_keeps_a_cluster_deployed_conceals_itself(before: str, dumpable: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", before + ASKED], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.split()[-1] == dumpable


@pytest.mark.parametrize("program", [DISPATCHING, DEPLOYING + "exec(ASKED)"], ids=["dispatcher", "deployer"])
@pytest.mark.parametrize(("privileges", "dumpable"), [((), "0"), (AS_NOBODY_IN_PARTICULAR, "1")])
def test_who_holds_keys_on_ray_conceals_itself_unless_rays_agent_could_not_count_its_descriptors(
    program: str, privileges: tuple[str, ...], dumpable: str
) -> None:
    """The agent that fails at one process reports no metrics of its whole node."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can have fewer privileges, with setpriv")
    done = subprocess.run(
        [*privileges, sys.executable, "-c", f"ASKED = {ASKED!r}{program}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stdout.split()[-1:] == [dumpable], done.stderr
