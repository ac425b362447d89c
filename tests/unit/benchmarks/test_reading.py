"""The benchmark of reading compares sides fairly, and judges what they reached."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import reading_children, reading_device, tesseract
from benchmarks.previous_reading import first_page
from benchmarks.reading import AT_LEAST, AT_MOST, figure, targets
from benchmarks.reading_batch import bare_seconds, decoded, measure_batch
from benchmarks.reading_children import TimedRecognizer, measure_fresh_child, measure_text_layers
from benchmarks.reading_sandbox import both_readers, measure_sandbox
from benchmarks.reading_sides import Measured, Receipts, compare, cpu_seconds, sample_receipts
from pagemill.extraction.reading import PageReader
from tests.unit.extraction import documents


class PretendSide:
    """A side that takes its CPU seconds from a list, and says in whose turn it was."""

    def __init__(self, name: str, turns: list[str], each: float, words: list[str]) -> None:
        self.name, self._turns, self._each, self._words = name, turns, each, words
        self.used = 5.0

    def words(self, path: Path) -> list[str]:
        self._turns.append(f"{self.name} {path.stem}")
        self.used += self._each
        return self._words

    def cpu_seconds(self) -> float:
        return self.used


@pytest.fixture
def receipts(tmp_path: Path) -> Receipts:
    given = {name: {"lines": [{"text": "Total 1"}, {"text": name}]} for name in ("a", "b", "c", "missing")}
    (tmp_path / "given_ocr_lines.json").write_text(json.dumps(given))
    for name in ("a", "b", "c", "unknown"):
        (tmp_path / f"{name}.png").write_bytes(b"")
    return sample_receipts(tmp_path, 40)


def test_the_sample_has_only_documents_with_a_reference(receipts: Receipts) -> None:
    assert sorted(path.stem for path in receipts.paths) == ["a", "b", "c"]
    assert receipts.references["a"] == ["Total 1", "a"]


def test_the_sample_is_always_the_same(tmp_path: Path, receipts: Receipts) -> None:
    two = sample_receipts(tmp_path, 2)
    assert len(two.paths) == 2
    assert two.paths == sample_receipts(tmp_path, 2).paths


def test_sides_take_turns_and_begin_in_turn(receipts: Receipts) -> None:
    turns: list[str] = []
    sides = {
        "new": PretendSide("new", turns, 1.0, ["total", "1"]),
        "old": PretendSide("old", turns, 2.0, ["total"]),
    }
    advanced: list[None] = []
    measured = compare(sides, receipts, lambda: advanced.append(None))
    first, second, third = (path.stem for path in receipts.paths)
    assert turns == [
        *(f"new {first}", f"old {first}"),  # before, so that models are loaded
        *(f"new {first}", f"old {first}"),
        *(f"old {second}", f"new {second}"),
        *(f"new {third}", f"old {third}"),
    ]
    assert len(advanced) == 3
    assert measured["new"].cpu_seconds == [1.0, 1.0, 1.0]
    assert measured["old"].figures()["cpuSecondsPerPage"] == 2.0
    assert measured["new"].figures()["wordF1"] == round(2 * 6 / (6 + 9), 4)


def test_figures_of_a_side() -> None:
    side = Measured(cpu_seconds=[1.0, 2.0, 3.0], seconds=[1.0, 1.0, 4.0])
    side.score.add(["one"], ["one"])
    found = side.figures()
    assert (found["cpuSecondsPerPage"], found["secondsPerPage"]) == (2.0, 2.0)
    assert (found["secondsPerPageMedian"], found["secondsPerPageMax"]) == (1.0, 4.0)


def reached(**others: float) -> dict[str, Any]:
    figures = {
        "wordF1": 0.95,
        "cpuSecondsPerPage": 1.1,
        "batch": {"ratio": 0.95},
        "textPagesPerSecondPerCore": 100.0,
        "freshChildMilliseconds": 30.0,
        "sandbox": {"cpuRatio": 1.03},
    }
    return figures | others


def test_targets_that_are_just_reached_are_passed() -> None:
    judged = targets(reached())
    assert set(judged) == {*AT_LEAST, *AT_MOST}
    assert all(one["passed"] for one in judged.values())
    assert judged["batch.ratio"] == {"target": "at least 0.95", "reached": 0.95, "passed": True}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wordF1", 0.949),
        ("cpuSecondsPerPage", 1.11),
        ("textPagesPerSecondPerCore", 99.0),
        ("freshChildMilliseconds", 31.0),
    ],
)
def test_a_target_that_is_missed_is_told(name: str, value: float) -> None:
    judged = targets(reached(**{name: value}))
    assert [one for one, verdict in judged.items() if not verdict["passed"]] == [name]


def test_a_figure_has_a_path() -> None:
    assert figure({"a": {"b": 2}}, "a.b") == 2.0
    with pytest.raises(KeyError):
        figure({"a": {}}, "a.b")


def test_cpu_seconds_are_those_of_all_processes_of_the_reader() -> None:
    class Reader:
        fork_server_process_id: int | None = None
        child_processor_seconds = 100.0

    ran = resource.getrusage(resource.RUSAGE_CHILDREN)
    alone = cpu_seconds(Reader())  # type: ignore[arg-type]
    assert 100.0 < alone - ran.ru_utime - ran.ru_stime <= 100.0 + time.process_time()
    Reader.fork_server_process_id = os.getpid()
    with_server = cpu_seconds(Reader())  # type: ignore[arg-type]
    assert with_server > alone
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    assert cpu_seconds(Reader()) - with_server > 0.3  # type: ignore[arg-type]


class SlowRecognizer:
    """A recogniser that needs a fixed processor time for a picture, and next to none for lines."""

    seconds = 0.2

    def words(self, pixels: object, quality: object) -> list[object]:
        busy = time.process_time() + self.seconds
        while time.process_time() < busy:
            pass
        return []

    def lines(self, crops: list[object]) -> list[tuple[str, float]]:
        return [("", 0.0) for _ in crops]


def test_text_layers_count_pages_of_documents_that_have_one_throughout(tmp_path: Path) -> None:
    contents = {"a": documents.text_pdf(3), "b": documents.scanned_pdf(), "c": documents.text_pdf(2)}
    for name, content in contents.items():
        (tmp_path / f"{name}.pdf").write_bytes(content)
    advanced: list[None] = []
    paths = sorted(tmp_path.iterdir())
    found = measure_text_layers(SlowRecognizer(), paths, lambda: advanced.append(None))  # type: ignore[arg-type]
    assert len(advanced) == 3
    assert (found["textPages"], found["textDocuments"], found["picturesOnTextPages"]) == (5, 2, 0)
    assert found["pictureCpuSeconds"] == 0
    assert found["textPagesPerSecondPerCore"] == pytest.approx(5 / found["textCpuSeconds"], rel=0.1)
    assert found["textPagesPerSecondPerCore"] == found["pagesPerSecondPerCoreWithPictures"]


def test_the_start_of_the_reader_is_no_part_of_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.pdf").write_bytes(documents.text_pdf())
    started: list[bool] = []

    def cpu_seconds(reader: PageReader) -> float:
        started.append(reader.fork_server_process_id is not None)
        return float(len(started))

    monkeypatch.setattr(reading_children, "cpu_seconds", cpu_seconds)
    found = measure_text_layers(SlowRecognizer(), list(tmp_path.iterdir()), lambda: None)  # type: ignore[arg-type]
    assert started == [True, True]
    assert (found["textPages"], found["textCpuSeconds"]) == (1, 1.0)


def test_recognition_of_pictures_is_no_part_of_the_layer() -> None:
    timed = TimedRecognizer(SlowRecognizer())  # type: ignore[arg-type]
    for _ in range(2):
        timed.words(np.zeros((2, 2, 3), np.uint8), "LOW")
    timed.lines([np.zeros((2, 2, 3), np.uint8)])
    assert timed.pictures == 2
    assert timed.cpu_seconds == pytest.approx(2 * SlowRecognizer.seconds, rel=0.2)


def test_a_fresh_child_has_a_wall_and_a_cpu_time() -> None:
    with PageReader() as reader:
        started = measure_fresh_child(reader, documents.text_pdf(), times=3)
    assert 0 < started["freshChildMilliseconds"] < 60_000
    assert started["freshChildCpuMilliseconds"] > 0


def test_the_sandbox_stands_beside_reading_without_it(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(documents.text_pdf(3))
    (tmp_path / "b.pdf").write_bytes(documents.scanned_pdf())
    advanced: list[None] = []
    found = measure_sandbox(sorted(tmp_path.iterdir()), lambda: advanced.append(None), rounds=2)
    assert len(advanced) == 4
    assert (found["documents"], found["pages"]) == (2, 8)
    assert found["cpuRatio"] > 0
    assert found["freshChild"].keys() == {"confined", "unconfined"}


def test_only_one_of_both_readers_is_confined() -> None:
    with both_readers(documents.text_pdf()) as readers:
        servers = {name: reader._fork_server for name, reader in readers.items()}
        confined, unconfined = servers["confined"], servers["unconfined"]
        assert confined is not None
        assert unconfined is not None
        assert confined.confinement.means
        assert not unconfined.confinement.means


def test_the_bare_engine_gets_the_pixels_that_a_replica_would_recognise() -> None:
    image = documents.encoded(documents.receipt_image(), "PNG")
    pages = decoded([image, documents.scanned_pdf()])
    assert [page.shape[2] for page in pages] == [3, 3]
    assert pages[0].shape[:2] == (270, 420)

    class Engine:
        seen = 0

        def words(self, pixels: object, quality: str) -> list[object]:
            Engine.seen += 1
            return []

    assert bare_seconds(Engine(), pages, 2, decode=np.asarray) > 0  # type: ignore[arg-type]
    assert Engine.seen == 2


def test_the_former_reader_renders_pdfs_within_bounds() -> None:
    assert first_page(documents.text_pdf(), 150 / 72).size == (834, 625)
    assert max(first_page(documents.text_pdf(), 100.0).size) == 1600
    assert max(first_page(documents.text_pdf(), 10.0, longest_side=float("inf")).size) == 4000
    assert first_page(documents.encoded(documents.receipt_image("L"), "PNG"), 1.0).mode == "RGB"


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[list[str]], bytes]) -> list[list[str]]:
    """Have programs answer, and return the commands that were run."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, stdout=answer(command))

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_tesseract_gets_pictures_as_they_are_and_pdfs_as_pictures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands = answering(monkeypatch, lambda command: b"Total  47.90\n\n\f")
    picture, pdf = tmp_path / "a.jpg", tmp_path / "a.pdf"
    pdf.write_bytes(documents.text_pdf())
    assert tesseract.Tesseract().words(picture) == ["Total", "47.90"]
    assert tesseract.Tesseract().words(pdf) == ["Total", "47.90"]
    assert commands[0] == ["tesseract", str(picture), "stdout", "--psm", "3", "-l", "eng"]
    assert commands[1][1].endswith(".png")


def test_without_tesseract_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert tesseract.find_tesseract() is None


def test_without_a_gpu_the_reason_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert reading_device.measure_gpu(tmp_path, 1) == {"skipped": reading_device.MISSING}
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [reading_device.CUDA])
    monkeypatch.setenv("PATH", "")
    assert reading_device.measure_gpu(tmp_path, 1) == {"skipped": "there is no GPU"}


def test_the_gpu_is_measured_beside_one_core(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import onnxruntime

    def answer(command: list[str]) -> bytes:
        if command[0] == "nvidia-smi":
            return b"NVIDIA H100\nNVIDIA H100\n"
        return b'a warning\n{"pagesPerSecond": %d}\n' % (1 if "--one-core" in command else 50)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [reading_device.CUDA])
    answering(monkeypatch, answer)
    assert reading_device.measure_gpu(tmp_path, 1) == {
        "device": "NVIDIA H100",
        "pagesPerSecond": 50,
        "oneCore": {"pagesPerSecond": 1},
    }


def test_a_replica_stands_beside_the_bare_engine() -> None:
    image = documents.encoded(documents.receipt_image(), "PNG")
    turns: list[None] = []
    figures = measure_batch([image, image], 1, 2, lambda: turns.append(None))
    assert (figures["pages"], figures["rounds"], len(turns)) == (2, 2, 4)
    assert figures["ratio"] == pytest.approx(
        figures["pagesPerSecond"] / figures["bareEnginePagesPerSecond"], abs=0.01
    )
