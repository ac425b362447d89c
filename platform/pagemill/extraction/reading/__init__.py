"""Bytes of a document in, words on pages out; untrusted bytes are parsed only in a bounded child process."""

from pagemill.extraction.reading.messages import DocumentInfo, ReadLimits
from pagemill.extraction.reading.reader import PageReader

__all__ = ["DocumentInfo", "PageReader", "ReadLimits"]
