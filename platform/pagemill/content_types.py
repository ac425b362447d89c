"""Content types of documents, recognised from their first bytes."""

from __future__ import annotations

SNIFFED_BYTES = 1024
"""A PDF's header may stand anywhere in the first kilobyte."""
SUPPORTED = "PDF, JPEG, PNG, TIFF or WebP"
CONTENT_TYPES = ("application/pdf", "image/jpeg", "image/png", "image/tiff", "image/webp")
TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def sniff(beginning: bytes) -> str | None:
    """Return the media type of a document with this beginning, None if it is not supported."""
    if beginning.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if beginning.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if beginning.startswith(TIFF_MARKS):
        return "image/tiff"
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "image/webp"
    if b"%PDF-" in beginning[:SNIFFED_BYTES]:
        return "application/pdf"
    return None
