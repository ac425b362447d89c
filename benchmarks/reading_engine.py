"""The recogniser of a replica, and the engine in it."""

from __future__ import annotations

from pagemill.extraction.reading.recognised_page import WordRecognizer
from pagemill.extraction.recognition.recognizer import Recognizer
from pagemill.extraction.recognition.script_aware import with_scripts

SCRIPTS = "auto"
"""The default of the setting PAGEMILL_READING_SCRIPTS."""


def bare_engine(threads: int) -> Recognizer:
    """Return the engine on what it chooses by itself: a GPU, or so many threads of the processor."""
    return Recognizer(threads=threads)


def replica_recognizer(engine: Recognizer) -> WordRecognizer:
    """Return the recogniser that a replica shares between its documents, with the default settings."""
    return with_scripts(engine, SCRIPTS)
