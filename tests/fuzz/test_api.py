"""Schemathesis against the running API: chains of calls by the ids in answers, valid and invalid ones.

It calls as users and app clients of every role, each for its share of the time. No answer may be a 5xx, each
must be one that the served document describes, what the document refuses must be refused, and what was made
can be found until it is deleted. No request may hold the event loop for more than 200 ms of processor time.
``make fuzz`` searches for 20 minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pagemill.api.metrics.loop_watch import HELD
from tests.fuzz.conftest import CALLERS, Served

SECONDS = int(os.environ.get("PAGEMILL_FUZZ_SECONDS", "20"))
SEED = os.environ.get("PAGEMILL_FUZZ_SEED", "1")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.fuzz
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("caller", CALLERS)
def test_the_api_is_what_its_document_says(served: Served, tmp_path: Path, caller: str) -> None:
    before = len(served.log.read_text())
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"),
            *(
                f"{served.url}/schema/openapi.json",
                "--header",
                f"Authorization: Bearer {served.tokens[caller]}",
            ),
            *("--max-time", str(max(3, SECONDS // len(CALLERS))), "--seed", SEED),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    (tmp_path / "report.txt").write_text(done.stdout)
    lines = served.log.read_text()[before:].splitlines()
    errors = [line for line in lines if '"exception"' in line]
    assert done.returncode == 0, "\n".join([done.stdout[-20_000:], done.stderr[-2000:], *errors[-3:]])
    assert [line for line in lines if HELD.partition("%")[0] in line] == []
