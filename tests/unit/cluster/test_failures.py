"""An application that does not run is one line that says why, wherever an operator looks."""

from __future__ import annotations

from pathlib import Path

from pagemill.cluster.failures import failure_line, failures_in, reason_of
from pagemill.stack.troubles import application_troubles

TRACEBACK = (
    "The deployment failed to start 3 times in a row.\nTraceback (most recent call last):\n"
    '  File "reading.py", line 1\nSettingsError: PAGEMILL_READING_SCRIPTS: Thai cannot be read\n\n'
)
REASON = "SettingsError: PAGEMILL_READING_SCRIPTS: Thai cannot be read"


def test_the_reason_is_the_error_of_a_traceback() -> None:
    assert reason_of([TRACEBACK, "Failed to update the deployments ['PageReading']."]) == REASON


def test_a_failure_to_build_is_told_by_the_application() -> None:
    assert reason_of(["", "ModuleNotFoundError: No module named 'torch'\n"]) == (
        "ModuleNotFoundError: No module named 'torch'"
    )
    assert reason_of(["", "\n"]) == "Serve says no reason"


def test_the_last_deployment_of_a_log_counts(tmp_path: Path) -> None:
    log = tmp_path / "apps.log"
    log.write_text(
        f"2026-11-28 ERROR pagemill.cluster.deploy {failure_line('prediction', 'an old reason')}\n"
    )
    begin = log.stat().st_size
    assert failures_in(log, begin) == []
    with log.open("a") as file:
        file.write(f"2026-11-28 ERROR pagemill.cluster.deploy {failure_line('reading', REASON)}\nother\n")
    assert failures_in(log, begin) == [f"reading does not run: {REASON}"]
    log.write_text(f"ERROR {failure_line('reading', 'put aside')}\n")
    assert failures_in(log, begin) == ["reading does not run: put aside"]


def test_the_status_says_it() -> None:
    deployment = {"status": "DEPLOY_FAILED", "message": TRACEBACK}
    details = {"status": "DEPLOY_FAILED", "message": "", "deployments": {"PageReading": deployment}}
    assert application_troubles({"reading": details}) == [f"reading: {REASON}"]
