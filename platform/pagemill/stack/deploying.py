"""The deployer that stays: it deploys again when the head has come back, or when something is missing.

A process that has joined Ray ends with the head, so this one does not join it: it runs programs that do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from pagemill.sandbox.concealment import conceal_this_process
from pagemill.stack.restarts import RestartPolicy, Restarts

DEPLOY_AND_STAY = (sys.executable, "-P", "-m", "pagemill.cluster.deploy", "--stay")
POLICY = RestartPolicy(first_delay=1.0, longest_delay=60.0, calm=300.0)
STOP_SECONDS = 10.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def keep_deployed(
    say: Callable[[str], None],
    *,
    program: Sequence[str] = DEPLOY_AND_STAY,
    policy: RestartPolicy = POLICY,
) -> None:
    """Run the program, and again whenever it ends, until a signal comes; then stop it."""
    conceal_this_process()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    restarts = Restarts(policy, time.monotonic)
    while not stopping.is_set():
        status = await _run(program, stopping, restarts)
        if stopping.is_set():
            break
        delay = restarts.ended()
        say(f"the deployment ended (exit status {status}), again in {delay:g} s")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), delay)
    say("stopped")


async def _run(program: Sequence[str], stopping: asyncio.Event, restarts: Restarts) -> int:
    """Run the program to its end, or to the signal; return its exit status."""
    # In a session of its own: a Ctrl-C is for this process, which stops it.
    process = await asyncio.create_subprocess_exec(
        *program, stdin=asyncio.subprocess.DEVNULL, start_new_session=True, env=dict(os.environ)
    )
    restarts.came_up()
    ended, stop = asyncio.create_task(process.wait()), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([ended, stop], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            _signal(process, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(ended), STOP_SECONDS)
    finally:
        stop.cancel()
        _signal(process, signal.SIGKILL)
    return await ended


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
