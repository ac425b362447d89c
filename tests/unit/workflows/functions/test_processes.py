"""A function runs in a process of its own: it fails, crashes, hangs and eats memory there alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import pytest_asyncio
import uvloop

from db.pool import Pool
from pagemill import working_directories
from pagemill.ids import OrganizationId
from pagemill.sandbox.system_calls import architecture, number_of
from pagemill.workflows.failures import TIMED_OUT
from pagemill.workflows.functions.child import reply_to
from pagemill.workflows.functions.messages import INVALID_RESULT, OUT_OF_MEMORY, OUTPUT_BYTES, FunctionCall
from pagemill.workflows.functions.processes import CRASHED, FunctionProcesses
from pagemill.workflows.step_log import StepLog
from pagemill.workflows.transition_executions import StepResult
from tests.support.working import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRAM = """
import ctypes, errno, os, pathlib, signal, subprocess, sys, tempfile, threading, time

def seen(data, environment):
    tempfile.NamedTemporaryFile(delete=False).write(b"left behind")
    secrets = sorted(name for name in os.environ if name.startswith("PAGEMILL_"))
    return {"input": data, "environment": environment, "directory": os.getcwd(), "secrets": secrets}

def raises(data, environment):
    raise LookupError("no \\0 luck " + "x" * 9000 + " at the end")

def exits(data, environment):
    sys.exit(3)

def kills_itself(data, environment):
    os.kill(os.getpid(), signal.SIGSEGV)

def leaves(data, environment):
    os._exit(0)

def hoards(data, environment):
    return {"length": len(bytearray(2 << 30))}

def waits(data, environment):
    child = subprocess.Popen(["sleep", "600"])
    pathlib.Path(data["file"]).with_name("directory").write_text(os.getcwd())
    pathlib.Path(data["file"]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)

def leaves_a_child(data, environment):
    return {"child": subprocess.Popen(["sleep", "600"]).pid}

def keeps_a_thread(data, environment):
    threading.Thread(target=time.sleep, args=(600,)).start()
    return {}

def closes_its_output(data, environment):
    sys.stdout.close()
    return {}

def looks_around(data, environment):
    library = ctypes.CDLL(None, use_errno=True)
    failed = {name: library.syscall(number, *rest) < 0 and errno.errorcode[ctypes.get_errno()]
              for name, number, rest in data["calls"]}
    try:
        pathlib.Path(f"/proc/{data['parent']}/environ").read_bytes()
        failed["environment"] = False
    except PermissionError:
        failed["environment"] = "EACCES"
    return failed

def counts(data, environment, calls=[]):
    calls.append(1)
    return {"calls": len(calls)}

def counts_and(data, environment, calls=[]):
    calls.append(1)
    found = {
        "calls": len(calls),
        "process": os.getpid(),
        "directory": os.getcwd(),
        "temporary": tempfile.gettempdir(),
        "left": os.environ.pop("LEFT", None),
    }
    os.environ["LEFT"] = "by a call"
    match data.get("how"):
        case "raises":
            raise ValueError(found)
        case "leaves a child":
            subprocess.Popen(["sleep", "600"])
        case "leaves a thread":
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        case "waits":
            time.sleep(600)
    return found
"""
DISPATCHER = """
import asyncio, pathlib, sys
from tests.unit.workflows.functions.test_processes import Call, FunctionProcesses
call = Call(FunctionProcesses(), pathlib.Path(sys.argv[1]))
asyncio.run(call("waits", file=sys.argv[2]))
"""
ROOT = Path(__file__).parents[4]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def processes() -> AsyncIterator[FunctionProcesses]:
    running = FunctionProcesses()
    yield running
    await running.close()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("functions")
    (made / "steps.py").write_text(PROGRAM)
    return made


def log_of_nothing() -> StepLog:
    """A log without a row: what is printed is read and forgotten."""
    return StepLog(cast("Pool", None), OrganizationId("las:organization:mine"), None)


class Call:
    """Calls of the functions above."""

    def __init__(self, processes: FunctionProcesses, directory: Path) -> None:
        self._processes, self._directory = processes, directory

    async def __call__(
        self, name: str, *, seconds: float = 30.0, most: int = 1, owner: str = "mine", **data: Any
    ) -> StepResult:
        call = FunctionCall(
            callable=f"steps:{name}",
            directory=str(self._directory),
            memory_bytes=1 << 30,
            input=data,
            environment=[{"name": "A", "value": "b"}],
        )
        return await self._processes.call(
            call,
            log_of_nothing(),
            seconds=seconds,
            organization_id=OrganizationId(f"las:organization:{owner}"),
            calls_per_process=most,
        )


@pytest.fixture
def call(processes: FunctionProcesses, directory: Path) -> Call:
    return Call(processes, directory)


async def test_it_is_given_its_input_and_environment_and_nothing_else(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGEMILL_SECRET_KEYS", "1:key")
    result = await call("seen", documentId="las:document:1", amount=1.5)
    assert result.status == "succeeded"
    assert result.output is not None
    directory = result.output.pop("directory")
    assert result.output == {
        "input": {"documentId": "las:document:1", "amount": 1.5},
        "environment": [{"name": "A", "value": "b"}],
        "secrets": [],
    }
    assert directory.startswith(tempfile.gettempdir())
    assert not await asyncio.to_thread(os.path.exists, directory)


async def test_no_call_sees_another(call: Call) -> None:
    for _ in range(2):
        assert (await call("counts")).output == {"calls": 1}


async def test_an_exception_is_the_failure_with_the_end_of_its_traceback(call: Call) -> None:
    result = await call("raises")
    assert (result.status, result.error) == ("failed", "LookupError")
    assert result.message is not None
    assert result.message.endswith("x at the end")
    assert len(result.message) <= 4096


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("exits", "SystemExit", "SystemExit: 3"),
        ("kills_itself", CRASHED, "it ended with SIGSEGV"),
        ("leaves", CRASHED, "it ended with status 0"),
        ("hoards", OUT_OF_MEMORY, "more than 1 GiB of memory"),
        ("nothing", "AttributeError", "no attribute 'nothing'"),
    ],
)
async def test_what_ends_it_is_named(call: Call, name: str, error: str, message: str) -> None:
    result = await call(name)
    assert (result.status, result.error) == ("failed", error)
    assert message in (result.message or "")


async def test_one_that_takes_too_long_is_ended_with_what_it_has_started(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "processes"
    result = await call("waits", seconds=2.0, file=str(file))
    assert (result.status, result.error) == ("failed", TIMED_OUT)
    assert result.message == "The function ran longer than 2 seconds"
    await until(lambda: ended(file))


async def ended(file: Path) -> bool:
    text = await asyncio.to_thread(file.read_text)
    return not any(is_alive(int(one)) for one in text.split())


def is_alive(process_id: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    return False


async def test_one_that_is_cancelled_ends_at_once(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "processes"
    calling = asyncio.create_task(call("waits", file=str(file)))

    async def begun() -> bool:
        return file.exists() and len(file.read_text().split()) == 2

    await until(begun)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await until(lambda: ended(file))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these calls")
async def test_it_cannot_enter_other_processes_or_the_kernel(call: Call) -> None:
    machine = architecture()
    calls = [
        (name, number_of(name, machine), rest)
        for name, rest in (("ptrace", [16, os.getpid(), 0, 0]), ("unshare", [0x10000000]), ("bpf", [0, 0, 0]))
    ]
    output = (await call("looks_around", calls=calls, parent=os.getpid())).output
    assert output is not None
    # Who is not root conceals the process that holds keys: this one has none.
    expected = "EACCES" if os.geteuid() == 0 else False
    assert output == {"ptrace": "EPERM", "unshare": "EPERM", "bpf": "EPERM", "environment": expected}


async def test_what_it_leaves_behind_ends_with_it(call: Call) -> None:
    output = (await call("leaves_a_child")).output
    assert output is not None

    async def gone() -> bool:
        return not is_alive(output["child"])

    await until(gone)
    assert (await call("keeps_a_thread", seconds=10.0)).status == "succeeded"
    assert (await call("closes_its_output")).status == "succeeded"


async def test_what_it_has_started_ends_when_its_dispatcher_is_killed(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_directories, "LOCKING_SECONDS", -1.0)  # nothing is too young to be swept
    file = tmp_path / "processes"
    dispatcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DISPATCHER, str(directory), str(file)), cwd=ROOT
    )

    async def begun() -> bool:
        return file.exists() and len(file.read_text().split()) == 2

    try:
        await until(begun)
    finally:
        dispatcher.kill()
        await dispatcher.wait()
    await until(lambda: ended(file))
    left = (tmp_path / "directory").read_text()
    assert await asyncio.to_thread(os.path.exists, left)
    successor = FunctionProcesses()
    assert (await Call(successor, directory)("counts")).status == "succeeded"
    await successor.close()
    assert not await asyncio.to_thread(os.path.exists, left)


async def test_a_server_that_was_killed_is_started_again(call: Call, processes: FunctionProcesses) -> None:
    assert (await call("counts")).status == "succeeded"
    server = processes._children.server
    assert server is not None
    psutil.Process(server.process_id).kill()

    async def is_gone() -> bool:
        return not server.is_running()

    await until(is_gone)
    assert (await call("counts")).output == {"calls": 1}


async def test_a_process_serves_as_many_calls_as_it_may(call: Call) -> None:
    outputs = [(await call("counts_and", most=3)).output or {} for _ in range(5)]
    assert [one["calls"] for one in outputs] == [1, 2, 3, 1, 2]
    assert len({one["process"] for one in outputs}) == 2
    assert len({one["directory"] for one in outputs}) == 5
    assert all(one["temporary"] == one["directory"] for one in outputs)
    assert [one["left"] for one in outputs] == [None] * 5


async def test_organizations_share_no_process(call: Call) -> None:
    outputs = [(await call("counts", most=9, owner=owner)).output for owner in ("a", "b", "a", "b")]
    assert outputs == [{"calls": 1}, {"calls": 1}, {"calls": 2}, {"calls": 2}]


@pytest.mark.parametrize("how", ["raises", "leaves a child", "leaves a thread", "waits"])
async def test_a_process_that_may_be_spoilt_serves_no_other_call(call: Call, how: str) -> None:
    owner = how.replace(" ", "-")
    first = await call("counts_and", most=9, owner=owner)
    spoilt = await call("counts_and", most=9, owner=owner, how=how, seconds=1.0 if how == "waits" else 30.0)
    assert spoilt.status == ("failed" if how in ("raises", "waits") else "succeeded")
    third = await call("counts_and", most=9, owner=owner)
    assert first.output is not None
    assert third.output is not None
    assert third.output["calls"] == 1
    assert third.output["process"] != first.output["process"]


async def test_calls_at_the_same_time_have_processes_of_their_own(call: Call) -> None:
    results = await asyncio.gather(*(call("counts_and", most=9, owner="many") for _ in range(4)))
    assert len({(one.output or {})["process"] for one in results}) == 4


async def test_an_idle_process_that_is_gone_is_not_used(call: Call, processes: FunctionProcesses) -> None:
    first = (await call("counts_and", most=9, owner="killed")).output
    assert first is not None
    psutil.Process(first["process"]).kill()

    async def is_known() -> bool:
        idle = [worker for workers in processes._idle._idle.values() for worker in workers]
        return any(one.child.process_id == first["process"] and one.is_gone for one in idle)

    await until(is_known)
    results = [await call("counts_and", most=9, owner="killed") for _ in range(2)]
    assert [(one.output or {}).get("calls") for one in results] == [1, 2]


async def test_closing_ends_idle_processes(directory: Path) -> None:
    processes = FunctionProcesses()
    output = (await Call(processes, directory)("counts_and", most=9)).output
    assert output is not None
    await processes.close()

    async def is_gone() -> bool:
        return not is_alive(output["process"])

    await until(is_gone)


async def test_it_is_called_from_another_event_loop_as_well(directory: Path) -> None:
    async def call_twice() -> list[StepResult]:
        processes = FunctionProcesses()
        call = Call(processes, directory)
        try:
            return [await call("counts") for _ in range(2)]
        finally:
            await processes.close()

    results = await asyncio.to_thread(uvloop.run, call_twice())
    assert [one.output for one in results] == [{"calls": 1}] * 2


@pytest.mark.parametrize(
    ("returned", "status", "output", "message"),
    [
        ({"a": 1}, "succeeded", {"a": 1}, None),
        ({"a": 1, "b": 2}, "succeeded", {"a": 1, "b": 2}, None),
        (({"a": 1}, "succeeded"), "succeeded", {"a": 1}, None),
        (("not now", "retry"), "retry", None, "not now"),
        (({"why": "no"}, "rejected"), "rejected", None, '{"why":"no"}'),
        (("bad", "failed"), "failed", None, "bad"),
        ({"text": "\\u0000"}, "succeeded", {"text": "\\u0000"}, None),
        ({1: (1, 2)}, "succeeded", {"1": [1, 2]}, None),
        ({"a": math.nan}, "succeeded", {"a": None}, None),
    ],
)
async def test_what_it_returns_ends_the_step(
    returned: Any, status: str, output: dict[str, Any] | None, message: str | None
) -> None:
    reply = reply_to(returned)
    assert (reply.status, reply.output, reply.message) == (status, output, message)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "must return a dict, not NoneType"),
        ([1], "must return a dict, not list"),
        (({}, "done"), "the status 'done'"),
        (({}, "succeeded", 1), "not tuple"),
        ({"a": object()}, "cannot be written as JSON"),
        ({"a": "\ud800"}, "cannot be written as JSON"),
        ({"a": "\0"}, "a character 0"),
        ({"a": "x" * OUTPUT_BYTES}, "larger than 262144 bytes"),
    ],
)
async def test_what_cannot_be_an_output_is_named(returned: Any, message: str) -> None:
    reply = reply_to(returned)
    assert (reply.status, reply.error) == ("failed", INVALID_RESULT)
    assert message in (reply.message or "")
    json.dumps(reply.message).encode()
