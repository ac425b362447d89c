"""Reading: bytes of a document in, words on pages out; a confined child parses untrusted bytes."""

from pagemill.extraction.reading.read_messages import DocumentInfo, ReadLimits
from pagemill.extraction.reading.reader import PageReader

__all__ = ["DocumentInfo", "PageReader", "ReadLimits"]
