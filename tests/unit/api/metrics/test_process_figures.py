"""Processes of a server count together; what one has counted stays when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pagemill.api.metrics.figure_places import IN_FLIGHT, FigurePlaces, Operation
from pagemill.api.metrics.process_figures import ProcessFigures
from pagemill.api.metrics.request_metrics import RequestMetrics

SERVER = "9464"
PLACES = FigurePlaces([Operation("GET", "/v1/documents/{document_id}")])
COUNT = PLACES.operations[Operation("GET", "/v1/documents/{document_id}")].statuses[200]

PROGRAM = """
import sys, time
from pathlib import Path
from tests.unit.api.metrics.test_process_figures import COUNT, IN_FLIGHT, PLACES, SERVER, ProcessFigures
with ProcessFigures(Path(sys.argv[1]), SERVER, PLACES).open() as figures:
    figures[COUNT], figures[IN_FLIGHT] = 5.0, 3.0
    print("counted", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def files(tmp_path: Path) -> ProcessFigures:
    return ProcessFigures(tmp_path, SERVER, PLACES)


def test_the_figures_of_all_processes_are_added(files: ProcessFigures) -> None:
    with files.open() as one, files.open() as other:
        one[COUNT], one[IN_FLIGHT] = 2.0, 1.0
        other[COUNT], other[IN_FLIGHT] = 3.0, 1.0
        total = files.total()
    assert (total[COUNT], total[IN_FLIGHT]) == (5.0, 2.0)


def test_a_killed_process_leaves_its_counts_and_not_its_gauges(tmp_path: Path, files: ProcessFigures) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"counted\n"
        assert (files.total()[COUNT], files.total()[IN_FLIGHT]) == (5.0, 3.0)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert (files.total()[COUNT], files.total()[IN_FLIGHT]) == (5.0, 0.0)

    with files.open() as successor:
        successor[COUNT] += 1.0
        assert files.total()[COUNT] == 6.0
    assert len(list(tmp_path.iterdir())) == 1


def test_another_server_is_not_counted(tmp_path: Path, files: ProcessFigures) -> None:
    other = ProcessFigures(tmp_path, "9465", PLACES)
    with other.open() as figures:
        figures[COUNT] = 7.0
        assert files.total()[COUNT] == 0.0
        assert other.total()[COUNT] == 7.0


def test_what_another_release_has_left_is_removed_when_its_processes_are_gone(
    tmp_path: Path, files: ProcessFigures
) -> None:
    former = ProcessFigures(tmp_path, SERVER, FigurePlaces([Operation("GET", "/v1/former")]))
    with former.open(), files.open():
        assert len(list(tmp_path.iterdir())) == 2
    with files.open():
        assert len(list(tmp_path.iterdir())) == 1


def test_a_process_counts_alone_before_and_after(tmp_path: Path, files: ProcessFigures) -> None:
    requests = RequestMetrics(PLACES)
    requests.begun()
    with requests.shared(files):
        requests.begun()
        assert files.total()[IN_FLIGHT] == 1.0
    requests.begun()
    assert requests.figures[IN_FLIGHT] == 2.0


def test_what_is_gathered_is_counted_before_a_process_ends(files: ProcessFigures) -> None:
    requests = RequestMetrics(PLACES)
    scope: Any = {"method": "GET", "path_template": "/v1/documents/{document_id}"}
    with requests.shared(files):
        requests.answered(scope, 200, 0.5)
        assert files.total()[COUNT] == 0.0
    with files.open():
        assert files.total()[COUNT] == 1.0


def test_a_file_that_is_just_beginning_is_no_trouble(tmp_path: Path, files: ProcessFigures) -> None:
    with files.open() as figures:
        figures[COUNT] = 1.0
        (tmp_path / f"{SERVER}-{PLACES.digest}-9").touch()
        assert files.total()[COUNT] == 1.0


def test_a_full_disk_is_an_error_and_no_dead_process(
    files: ProcessFigures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(OSError, match="No space left"), files.open():
        raise AssertionError("it counts without room")
