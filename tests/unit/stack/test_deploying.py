"""The deployer that stays runs its program again when it ends, and ends with it on a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pagemill.stack.restarts import RestartPolicy
from tests.support.processes import wait_until_gone

DEADLINE = 60.0
KEEPER = """
import asyncio, sys
from pagemill.stack.deploying import keep_deployed
from pagemill.stack.restarts import RestartPolicy
asyncio.run(keep_deployed(
    lambda line: print(line, flush=True),
    program=sys.argv[1:],
    policy=RestartPolicy(first_delay=0.01, longest_delay=0.05),
))
"""


def keeper(*program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", KEEPER, *program], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def written(file: Path, lines: int) -> list[str]:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if file.exists() and len(found := file.read_text().splitlines()) >= lines:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"{file} has fewer than {lines} lines")


def test_it_deploys_again_when_the_deployment_ends(tmp_path: Path) -> None:
    file = tmp_path / "runs"
    process = keeper("/bin/sh", "-c", f"echo run >> {file}; exit 3")
    written(file, 3)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    lines = output.splitlines()
    assert lines[0].startswith("the deployment ended (exit status 3), again in")
    assert lines[-1] == "stopped"


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_its_program_on_a_signal(tmp_path: Path, ending: signal.Signals) -> None:
    file = tmp_path / "child"
    process = keeper("/bin/sh", "-c", f"echo $$ >> {file}; exec sleep 600")
    [child] = written(file, 1)
    process.send_signal(ending)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    wait_until_gone(int(child))


def test_a_program_that_ignores_the_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pagemill.stack import deploying

    monkeypatch.setattr(deploying, "STOP_SECONDS", 0.2)
    file = tmp_path / "child"

    async def stop() -> None:
        keeping = asyncio.create_task(
            deploying.keep_deployed(
                lambda _: None,
                program=("/bin/sh", "-c", f"trap '' TERM; echo $$ >> {file}; while :; do sleep 0.1; done"),
                policy=RestartPolicy(),
            )
        )
        await asyncio.to_thread(written, file, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(keeping, DEADLINE)

    asyncio.run(stop())
    wait_until_gone(int(file.read_text()))
