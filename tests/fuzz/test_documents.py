"""Documents damaged at random: each is read or refused in plain words, and the next one is read.

``make fuzz`` searches for minutes. A fault is named by the seed and the number of its document.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from pagemill.extraction.reading import PageReader
from tests.unit.extraction.bad.case import BadDocument
from tests.unit.extraction.bad.mutations import DAMAGES, sound
from tests.unit.extraction.bad.verdicts import (
    HEALTHY,
    HEALTHY_WORDS,
    LIMITS,
    NoRecognizer,
    fault_of,
    words_of,
)

SECONDS = int(os.environ.get("PAGEMILL_FUZZ_SECONDS", "16")) / 4
SEED = os.environ.get("PAGEMILL_FUZZ_SEED", "1")
MOST_DAMAGES = 3


def damaged(number: int, whole: dict[str, bytes]) -> BadDocument:
    """The document of a number, which is the same whenever it is made."""
    chance = random.Random(f"{SEED}:{number}")
    kind = chance.choice(sorted(whole))
    content = whole[kind]
    names = []
    for _ in range(chance.randrange(1, MOST_DAMAGES + 1)):
        damage = chance.choice(DAMAGES)
        names.append(damage.__name__)
        content = damage(content, chance) if len(content) > 20 else content
    return BadDocument(f"seed {SEED}, number {number}: {kind} {' '.join(names)}", content)


@pytest.mark.fuzz
@pytest.mark.timeout(SECONDS + 300)
def test_documents_that_are_damaged_at_random() -> None:
    whole, faults = sound(), {}
    deadline, number = time.monotonic() + SECONDS, 0
    with PageReader(LIMITS, NoRecognizer()) as reader:
        while time.monotonic() < deadline:
            document = damaged(number, whole)
            fault = fault_of(reader, document)
            if fault is not None:
                faults[document.name] = fault
            if number % 10 == 0:
                assert words_of(reader, HEALTHY) == HEALTHY_WORDS, document.name
            number += 1
    assert faults == {}
    assert number >= 10
