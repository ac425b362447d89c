"""A PDF written object by object, for tests of what no library would write."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


class PdfObjects:
    """Numbered objects of a PDF. Number 1 is the catalogue, 2 the page tree, 3 Helvetica."""

    def __init__(self) -> None:
        self._objects: dict[int, bytes] = {3: HELVETICA}
        self._pages: list[int] = []

    def reserve(self) -> int:
        """Return the number of an object that is put later."""
        number = max(self._objects) + 1
        self._objects[number] = b"null"
        return number

    def add(self, body: bytes, number: int | None = None) -> int:
        """Put an object, and return its number."""
        number = number or self.reserve()
        self._objects[number] = body
        return number

    def stream(self, data: bytes, entries: bytes = b"", number: int | None = None) -> int:
        """Put a compressed stream, and return its number."""
        packed = zlib.compress(data)
        head = b"<< %s /Filter /FlateDecode /Length %d >>" % (entries, len(packed))
        return self.add(head + b"\nstream\n" + packed + b"\nendstream", number)

    def page(
        self,
        content: bytes,
        *,
        resources: bytes = b"/Font << /F1 3 0 R >>",
        annotations: Sequence[int] = (),
        size: tuple[float, float] = (400, 300),
        entries: bytes = b"",
    ) -> int:
        """Add a page, and return its object's number."""
        body = b"<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 %g %g ] /Resources << %s >>" % (
            *size,
            resources,
        )
        body += b" /Contents %d 0 R /Annots [ %s ] %s >>" % (
            self.stream(content),
            b" ".join(b"%d 0 R" % number for number in annotations),
            entries,
        )
        self._pages.append(self.add(body))
        return self._pages[-1]

    def file(self, catalogue: bytes = b"") -> bytes:
        """Return the bytes of the PDF; ``catalogue`` holds further entries of it."""
        self.add(b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalogue, 1)
        kids = b" ".join(b"%d 0 R" % number for number in self._pages)
        self.add(b"<< /Type /Pages /Kids [ %s ] /Count %d >>" % (kids, len(self._pages)), 2)
        output, offsets = b"%PDF-1.7\n", {}
        for number, body in sorted(self._objects.items()):
            offsets[number] = len(output)
            output += b"%d 0 obj\n%s\nendobj\n" % (number, body)
        table = b"".join(b"%010d 00000 n \n" % offsets[number] for number in sorted(offsets))
        size = len(offsets) + 1
        end = b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
        return (
            output + end + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (size, len(output))
        )


def text_lines(*lines: str, x: float = 40, y: float = 250, size: float = 12, step: float = 20) -> bytes:
    """Content that prints lines in Helvetica."""
    shown = b" ".join(b"(%s) Tj T*" % line.encode("cp1252") for line in lines)
    return b"BT /F1 %g Tf %g TL %g %g Td %s ET\n" % (size, step, x, y, shown)
