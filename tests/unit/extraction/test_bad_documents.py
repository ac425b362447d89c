"""Documents that are damaged, hostile or odd: each fails alone, in its time, and says why in plain words."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil
import pytest

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading import PageReader
from pagemill.extraction.reading.child import OUT_OF_MEMORY as NEEDS_MEMORY
from pagemill.extraction.reading.process import CRASHED
from pagemill.extraction.types import ReadOptions
from tests.unit.extraction.bad.case import BadDocument
from tests.unit.extraction.bad.endless import endless
from tests.unit.extraction.bad.images import pictures
from tests.unit.extraction.bad.mutations import DAMAGES, mutations, sound
from tests.unit.extraction.bad.pdf_pages import pages
from tests.unit.extraction.bad.pdf_resources import resources
from tests.unit.extraction.bad.pdf_structure import structures
from tests.unit.extraction.bad.tiffs import tiffs
from tests.unit.extraction.bad.verdicts import (
    HEALTHY,
    HEALTHY_WORDS,
    LIMITS,
    NoRecognizer,
    fault_of,
    fault_of_refusal,
    words_of,
)

TIMES = 6
HURRIED = msgspec.structs.replace(LIMITS, page_seconds=1)
PROCESSOR_SECONDS = 4.0
"""Of one document; all that are not endless take far less."""
GROUPS: dict[str, Callable[[], Iterable[BadDocument]]] = {
    "structures": structures,
    "pages": pages,
    "resources": resources,
    "pictures": pictures,
    "tiffs": tiffs,
    "mutations": partial(mutations, TIMES),
}
TOOK_LONG = "A page took longer than 1 seconds to read"


@pytest.fixture
def reader() -> Iterator[PageReader]:
    with PageReader(LIMITS, NoRecognizer()) as shared:
        yield shared


def shared_memory() -> int:
    """Open pieces of memory that children have written pixels to."""
    links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    return sum(os.readlink(link).startswith("/memfd:") for link in links if link.is_symlink())


class Seen(NamedTuple):
    """What came of a group of documents."""

    names: list[str]
    faults: dict[str, str]
    largest_child: int
    """Bytes of the largest process so far."""


@pytest.fixture(scope="module")
def small_process() -> Iterator[ProcessPoolExecutor]:
    """A fresh process: the largest child of one that is large itself is said to have been as large."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def read_group(group: str) -> Seen:
    """Read a healthy document beside each of the group, by the same reader at the same time."""
    faults: dict[str, str] = {}
    names: list[str] = []
    with PageReader(LIMITS, NoRecognizer()) as reader, ThreadPoolExecutor(1) as neighbour:
        words_of(reader, HEALTHY)
        descriptors, shared = psutil.Process().num_fds(), shared_memory()
        for document in GROUPS[group]():
            names.append(document.name)
            used = reader.child_processor_seconds
            healthy = neighbour.submit(words_of, reader, HEALTHY)
            fault = fault_of(reader, document)
            assert healthy.result() == HEALTHY_WORDS, document.name
            used = reader.child_processor_seconds - used
            fault = fault or (f"it took {used:.1f} processor seconds" if used > PROCESSOR_SECONDS else None)
            if fault is not None:
                faults[document.name] = fault
        assert shared_memory() == shared
        # If a document left something open, it would be each of them.
        assert psutil.Process().num_fds() - descriptors < len(names) / 2
    kibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return Seen(names, faults, kibibytes * 1024)


@pytest.mark.parametrize("group", GROUPS)
def test_each_fails_alone_or_is_read(small_process: ProcessPoolExecutor, group: str) -> None:
    seen = small_process.submit(read_group, group).result()
    assert seen.faults == {}
    assert len(seen.names) == len(set(seen.names)) >= 20
    assert seen.largest_child <= LIMITS.memory_bytes


def test_the_endless_end_in_their_time() -> None:
    """What would take minutes is ended, and costs no more than it is allowed."""
    messages: Counter[str] = Counter()
    with PageReader(HURRIED, NoRecognizer()) as hurried:
        for document in endless():
            used = hurried.child_processor_seconds
            with pytest.raises(DocumentUnreadable) as caught:
                hurried.read(document.content, [0], ReadOptions())
            messages[caught.value.message] += 1
            assert hurried.child_processor_seconds - used < PROCESSOR_SECONDS, document.name
        hurried.limits = LIMITS
        assert words_of(hurried, HEALTHY) == HEALTHY_WORDS
    assert set(messages) <= {TOOK_LONG, NEEDS_MEMORY, CRASHED}
    assert messages[TOOK_LONG] >= 3


def test_the_collection_has_three_hundred_mutations_that_differ_from_what_is_sound() -> None:
    whole = set(sound().values())
    damaged = list(mutations(TIMES))
    assert len(damaged) == len(whole) * len(DAMAGES) * TIMES >= 300
    assert sum(document.content in whole for document in damaged) < 5
    assert list(mutations(1)) == [document for document in damaged if document.name.endswith("-0")]


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        ("The document is damaged: it cannot be read", True),
        ("The image has more than 40 megapixels", True),
        ("cannot identify image file", False),
        ("The document is damaged: <_io.BytesIO object at 0x7f3c1ce0>", False),
        ("The document is damaged: its reader failed, it ended with SIGABRT", False),
        ("The document is damaged: decoder error -2", False),
        ("The document is damaged: ResizeImgError", False),
    ],
)
def test_internals_in_a_message_are_a_fault(message: str, plain: bool) -> None:
    assert (fault_of_refusal(BadDocument("any", b""), message) is None) is plain


def test_what_must_be_read_may_not_be_refused(reader: PageReader) -> None:
    assert fault_of(reader, BadDocument("a", HEALTHY, "read", ("Invoice",))) is None
    assert "missing" in str(fault_of(reader, BadDocument("a", HEALTHY, "read", ("Receipt",))))
    assert "was read" in str(fault_of(reader, BadDocument("a", HEALTHY, "refused")))
    assert "was refused" in str(fault_of(reader, BadDocument("a", b"x", "read")))
    assert "was refused" in str(fault_of(reader, BadDocument("a", b"x", "refused", message="The PDF")))
