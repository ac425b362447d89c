"""Each document is read in a fresh, bounded child; what breaks it breaks one document only."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from PIL import Image

from pagemill.errors import DocumentUnreadable, Unavailable
from pagemill.extraction.reading import PageReader, ReadLimits
from pagemill.extraction.reading import reader as reader_module
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.types import ImageQuality, ReadOptions, Word
from pagemill.sandbox.forked_child import ForkedChild, ForkServer
from tests.support.processes import eventually, wait_until_gone
from tests.unit.extraction import documents

PLAIN = ReadOptions()
JPEG = documents.encoded(documents.receipt_image(), "JPEG")
DEADLINE_SECONDS = 60.0
BOUNDED = {
    "address space": str(2**30),
    "cpu time": "11",
    "file size": "0",
    "core file size": "0",
    "open files": "32",
    "processes": "0",
}


@pytest.fixture(scope="module")
def reader() -> Iterator[PageReader]:
    with PageReader() as shared:
        yield shared


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The process ids of children, as they are forked."""
    process_ids: list[int] = []
    fork = ForkServer.fork

    def noted(server: ForkServer, descriptors: object) -> ForkedChild:
        child = fork(server, descriptors)  # type: ignore[arg-type]
        process_ids.append(child.process_id)
        return child

    monkeypatch.setattr(ForkServer, "fork", noted)
    return process_ids


def server_of(reader: PageReader) -> psutil.Process:
    assert reader.fork_server_process_id is not None
    return psutil.Process(reader.fork_server_process_id)


def test_each_document_has_a_child_of_its_own_that_is_gone_afterwards(
    reader: PageReader, forked: list[int]
) -> None:
    for _ in range(3):
        assert reader.inspect(documents.text_pdf()).number_of_pages == 1
    with pytest.raises(DocumentUnreadable):
        reader.inspect(b"%PDF-1.7 and then nothing")
    assert len(set(forked)) == 4
    wait_until_gone(*forked)
    assert server_of(reader).children() == []


def test_the_processor_seconds_of_children_are_counted(reader: PageReader) -> None:
    before = reader.child_processor_seconds
    reader.read(documents.text_pdf(20), list(range(20)), PLAIN)
    assert 0.001 < reader.child_processor_seconds - before < DEADLINE_SECONDS


def test_memory_is_bounded_and_the_next_document_is_read() -> None:
    large = documents.encoded(Image.new("RGB", (6000, 6000)), "PNG")
    with PageReader(ReadLimits(memory_bytes=300 * 1024 * 1024)) as bounded:
        with pytest.raises(DocumentUnreadable, match="needs more memory to read than is allowed"):
            bounded.read(large, [0], PLAIN)
        assert bounded.inspect(documents.text_pdf()).number_of_pages == 1


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ReadLimits(page_seconds=0.02), "A page took longer than 0.02 seconds to read"),
        (ReadLimits(document_seconds=0.02), "The document took longer than 0.02 seconds to read"),
    ],
)
def test_time_is_bounded(limits: ReadLimits, message: str, forked: list[int]) -> None:
    with PageReader(limits) as hurried:
        with pytest.raises(DocumentUnreadable) as caught:
            hurried.read(JPEG, [0], PLAIN)
        assert caught.value.message == message
        wait_until_gone(forked[-1])
        hurried.limits = ReadLimits()
        assert hurried.inspect(documents.text_pdf()).number_of_pages == 1


def after_fork(monkeypatch: pytest.MonkeyPatch, what: Callable[[ForkedChild], None]) -> None:
    """Do something to the next child before it gets its document."""
    fork = ForkServer.fork

    def and_then(server: ForkServer, descriptors: Sequence[int] = ()) -> ForkedChild:
        monkeypatch.setattr(ForkServer, "fork", fork)
        child = fork(server, descriptors)
        what(child)
        return child

    monkeypatch.setattr(ForkServer, "fork", and_then)


def send_signal(number: signal.Signals) -> Callable[[ForkedChild], None]:
    return lambda child: os.kill(child.process_id, number)


def test_others_are_read_while_one_document_hangs(
    reader: PageReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: queue.Queue[ForkedChild] = queue.Queue()

    def stop(child: ForkedChild) -> None:
        os.kill(child.process_id, signal.SIGSTOP)
        stopped.put(child)

    after_fork(monkeypatch, stop)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(reader.read, documents.text_pdf(), [0], PLAIN)
        child = stopped.get(timeout=DEADLINE_SECONDS)
        for pages in range(1, 4):
            assert reader.read(documents.text_pdf(pages), [0], PLAIN).number_of_pages == pages
        assert not hanging.done()
        os.kill(child.process_id, signal.SIGCONT)
        assert hanging.result(DEADLINE_SECONDS).number_of_pages == 1


def test_a_child_that_hangs_is_ended_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with PageReader() as reader:
        assert reader.inspect(documents.text_pdf()).number_of_pages == 1
        reader.limits = ReadLimits(page_seconds=0.5)
        after_fork(monkeypatch, send_signal(signal.SIGSTOP))
        with pytest.raises(DocumentUnreadable, match=r"A page took longer than 0\.5 seconds to read"):
            reader.read(documents.text_pdf(), [0], PLAIN)
        assert server_of(reader).children() == []


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_crashes_is_the_failure_of_its_document(
    reader: PageReader, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals
) -> None:
    after_fork(monkeypatch, send_signal(ending))
    with pytest.raises(DocumentUnreadable) as caught:
        reader.inspect(documents.text_pdf())
    assert caught.value.message == "The document is damaged, or needs more memory to read than is allowed"
    assert caught.value.detail == f"its reader failed: it ended with {ending.name}"
    assert reader.inspect(documents.text_pdf(2)).number_of_pages == 2


def test_a_fork_server_that_dies_is_no_fault_of_its_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    with PageReader() as reader:
        reader.inspect(documents.text_pdf())
        server = server_of(reader)

        def kill(child: ForkedChild) -> None:
            server.kill()
            wait_until_gone(child.process_id)

        after_fork(monkeypatch, kill)
        with pytest.raises(Unavailable):
            reader.inspect(documents.text_pdf())
        assert reader.inspect(documents.text_pdf()).number_of_pages == 1


def test_a_closing_reader_finishes_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = PageReader()
    stopped: list[ForkedChild] = []

    def stop(child: ForkedChild) -> None:
        os.kill(child.process_id, signal.SIGSTOP)
        stopped.append(child)

    after_fork(monkeypatch, stop)
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(reader.read, documents.text_pdf(), [0], PLAIN)
        eventually(lambda: stopped, bool, seconds=DEADLINE_SECONDS, pause=0.01)
        closing = pool.submit(reader.close)
        eventually(lambda: reader.closed, bool, seconds=DEADLINE_SECONDS, pause=0.01)
        assert not closing.done()
        os.kill(stopped[0].process_id, signal.SIGCONT)
        assert reading.result(DEADLINE_SECONDS).number_of_pages == 1
        closing.result(DEADLINE_SECONDS)


class NoWords:
    """Finds nothing."""

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        return []

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        return []


def test_recognition_counts_for_the_time_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    real, passed = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + passed[0])

    class Slow(NoWords):
        def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
            passed[0] += ReadLimits().page_seconds
            return []

    with PageReader(recognizer=Slow()) as reader:
        assert reader.inspect(JPEG).number_of_pages == 1
        with pytest.raises(DocumentUnreadable, match="A page took longer than 60 seconds to read"):
            reader.read(JPEG, [0], PLAIN)


def test_recognition_happens_in_this_process(reader: PageReader) -> None:
    before, began = reader.child_processor_seconds, time.process_time()
    reader.read(JPEG, [0], PLAIN)
    assert 0 < 4 * (reader.child_processor_seconds - before) < time.process_time() - began


def test_a_child_is_bounded(forked: list[int]) -> None:
    told: dict[str, str] = {}

    class Looking(NoWords):
        def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
            child = Path(f"/proc/{forked[-1]}")
            for name, soft, hard in re.findall(
                r"^Max (.+?) {2,}(\S+) +(\S+)", (child / "limits").read_text(), re.MULTILINE
            ):
                assert soft == hard or name not in BOUNDED
                told[name] = soft
            told["oom"] = (child / "oom_score_adj").read_text().strip()
            return []

    with PageReader(ReadLimits(memory_bytes=2**30, document_seconds=9.5), Looking()) as reader:
        reader.read(JPEG, [0], PLAIN)
    assert {name: told[name] for name in BOUNDED} == BOUNDED
    assert told["oom"] == "1000"


def test_a_fork_server_that_died_is_replaced_silently() -> None:
    with PageReader() as reader:
        reader.inspect(documents.text_pdf())
        server = server_of(reader)
        server.kill()
        psutil.wait_procs([server], timeout=DEADLINE_SECONDS)
        assert reader.inspect(documents.text_pdf()).number_of_pages == 1
        assert reader.fork_server_process_id != server.pid


def test_threads_share_one_reader(reader: PageReader) -> None:
    def last_word(pages: int) -> str:
        return reader.read(documents.text_pdf(pages), [pages - 1], PLAIN).pages[0].words[-1].text

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(last_word, range(1, 9))) == [str(number) for number in range(1, 9)]


def test_a_closed_reader_has_no_processes() -> None:
    reader = PageReader()
    assert reader.fork_server_process_id is None
    reader.inspect(documents.text_pdf())
    server = server_of(reader)
    reader.close()
    reader.close()
    wait_until_gone(server.pid)
    with pytest.raises(RuntimeError, match="closed"):
        reader.inspect(documents.text_pdf())


def test_a_child_that_does_not_start_is_no_fault_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "ZYGOTE", "pagemill.no_such_module")
    with PageReader() as reader, pytest.raises(Unavailable) as caught:
        reader.inspect(documents.text_pdf())
    assert caught.value.detail == "the reader's child did not start: it ended with status 1"


def test_the_fork_server_sees_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEMILL_SECRET", "hidden")
    with PageReader() as fresh:
        fresh.inspect(documents.text_pdf())
        assert "PAGEMILL_SECRET" not in server_of(fresh).environ()


def test_the_fork_server_ends_with_its_parent() -> None:
    script = (
        "import os, signal; from pagemill.extraction.reading import PageReader; reader = PageReader();"
        "reader.inspect(open(0, 'rb').read()); print(reader.fork_server_process_id, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    parent = subprocess.run(
        [sys.executable, "-c", script], input=documents.text_pdf(), capture_output=True, check=False
    )
    wait_until_gone(int(parent.stdout))


def test_importing_the_reader_loads_no_parser_and_no_model() -> None:
    script = (
        "import sys; import pagemill.extraction.reading;"
        "print([name for name in ('PIL', 'pypdfium2', 'onnxruntime', 'cv2', 'ray') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
