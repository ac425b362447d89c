"""The flows of docs/workflows.md run as they stand there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from examples.local_stack import LocalStack
from tests.support.workflow_document import files_shown

PRINTED = {
    "flow_of_functions.py": ["succeeded 90 rejected", "failed", "succeeded"],
    "flow_with_a_person.py": ["May succeeded", "June failed"],
}


@pytest.mark.parametrize("name", PRINTED)
def test_a_flow_of_the_document_runs(stack: LocalStack, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", files_shown()[name]], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == PRINTED[name]


def test_every_program_is_run() -> None:
    assert {name for name in files_shown() if name.startswith("flow_")} == PRINTED.keys()
