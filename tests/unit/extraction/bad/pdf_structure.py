"""PDFs whose structure is wrong: page trees, cross references, object streams, encryption."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from tests.unit.extraction.bad.case import BadDocument, readable, refused
from tests.unit.extraction.bad.pdf_encryption import encrypted
from tests.unit.extraction.bad.pdf_writer import (
    HEADING,
    HELVETICA,
    MEDIA_BOX,
    WORDS,
    blanks,
    deflated,
    page_pdf,
    pdf,
    stream,
)

CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R >>"
LEAF = (
    b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R %s /Resources << /Font << /F1 5 0 R >> >> >>" % MEDIA_BOX
)


def structures() -> Iterator[BadDocument]:
    """Return all of them."""
    yield from page_trees()
    yield from cross_references()
    yield from object_streams()
    yield from encryptions()
    yield from syntax()


def tree(pages: bytes, *further: bytes, leaf: bytes = LEAF) -> bytes:
    """A PDF with this root of the page tree."""
    return pdf([CATALOGUE, pages, leaf, stream(HEADING), HELVETICA, *further])


def page_trees() -> Iterator[BadDocument]:
    yield BadDocument("tree-own-child", tree(b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"))
    yield BadDocument(
        "tree-loop",
        tree(b"<< /Type /Pages /Kids [6 0 R] /Count 3 >>", b"<< /Type /Pages /Kids [2 0 R] /Count 3 >>"),
    )
    yield refused("tree-million-claimed", tree(b"<< /Type /Pages /Kids [3 0 R] /Count 1000000 >>"))
    yield BadDocument("tree-two-thousand-claimed", tree(b"<< /Type /Pages /Kids [3 0 R] /Count 1999 >>"))
    kids = b"3 0 R " * 1_000_000
    yield refused(
        "tree-million",
        tree(b"<< /Type /Pages /Kids [%s] /Count 1000000 >>" % kids),
        "The document has more than 2000 pages",
    )
    yield BadDocument(
        "tree-huge-count", tree(b"<< /Type /Pages /Kids [3 0 R] /Count 99999999999999999999 >>")
    )
    yield BadDocument("tree-negative-count", tree(b"<< /Type /Pages /Kids [3 0 R] /Count -5 >>"))
    yield refused("tree-empty", tree(b"<< /Type /Pages /Kids [] /Count 0 >>"))
    yield BadDocument("tree-count-missing", tree(b"<< /Type /Pages /Kids [3 0 R] >>"))
    yield BadDocument("tree-of-numbers", tree(b"<< /Type /Pages /Kids [1 2 3 (a) null] /Count 5 >>"))
    yield BadDocument("tree-missing-page", tree(b"<< /Type /Pages /Kids [99 0 R 3 0 R] /Count 2 >>"))
    yield BadDocument("tree-null-page", tree(b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", leaf=b"null"))
    yield BadDocument("tree-page-is-catalogue", tree(b"<< /Type /Pages /Kids [1 0 R] /Count 1 >>"))
    deep = [b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (number + 7) for number in range(3000)]
    yield BadDocument("tree-deep", tree(b"<< /Type /Pages /Kids [6 0 R] /Count 1 >>", *deep, LEAF))
    yield BadDocument(
        "tree-parent-loop",
        tree(
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 /Parent 2 0 R >>",
            leaf=b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>",
        ),
    )
    yield refused("catalogue-missing", pdf([b"null", b"null"]))
    yield refused("pages-missing", pdf([b"<< /Type /Catalog >>"]))
    yield BadDocument("catalogue-own-pages", pdf([b"<< /Type /Catalog /Pages 1 0 R >>"]))


def cross_references() -> Iterator[BadDocument]:
    whole = page_pdf()
    table = whole.index(b"xref\n0")
    loop = whole.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % table)
    yield BadDocument("xref-prev-loop", loop)
    yield BadDocument("xref-prev-far", whole.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev 999999999999"))
    yield BadDocument("xref-prev-negative", whole.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev -7"))
    yield BadDocument("xref-stream-loop", whole.replace(b"/Root 1 0 R", b"/Root 1 0 R /XRefStm %d" % table))
    yield BadDocument("xref-size-huge", whole.replace(b"/Size 6", b"/Size 2147483647"))
    yield BadDocument("xref-entries-huge", whole.replace(b"xref\n0 6", b"xref\n0 2147483647"))
    yield BadDocument("xref-start-huge", whole.replace(b"xref\n0 6", b"xref\n4294967290 6"))
    yield BadDocument("xref-missing", whole[:table])
    yield readable("xref-only-trailer", whole[:table] + whole[whole.index(b"trailer") :], *WORDS)
    yield readable("xref-points-nowhere", whole[: whole.index(b"startxref")] + b"startxref\n4\n%%EOF", *WORDS)
    yield BadDocument("xref-root-is-number", whole.replace(b"/Root 1 0 R", b"/Root 12345"))
    yield BadDocument("xref-root-is-itself", whole.replace(b"/Root 1 0 R", b"/Root 6 0 R"))
    yield BadDocument("xref-stream-wide", xref_stream(b"/W [8 2147483647 8] /Size 10"))
    yield BadDocument("xref-stream-negative", xref_stream(b"/W [-1 -2 -3] /Size 10"))
    yield BadDocument("xref-stream-index", xref_stream(b"/W [1 4 2] /Index [0 2147483647] /Size 2147483647"))
    yield BadDocument("xref-stream-bomb", xref_stream(b"/W [1 4 2] /Size 100000000", blanks(200)))
    yield BadDocument("xref-stream-prev-self", xref_stream(b"/W [1 4 2] /Size 6 /Prev 15"))
    updates = b"".join(
        b"xref\n0 0\ntrailer << /Size 6 /Root 1 0 R /Prev %d >>\n" % table for _ in range(20_000)
    )
    yield BadDocument("xref-many-updates", whole + updates + b"startxref\n%d\n%%%%EOF" % (len(whole)))


def xref_stream(entries: bytes, packed: bytes = zlib.compress(bytes(70))) -> bytes:
    """A PDF that has nothing but a stream of cross references."""
    body = b"<< /Type /XRef /Root 1 0 R %s /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (
        entries,
        len(packed),
        packed,
    )
    return b"%%PDF-1.7\n%%ab\n\n1 0 obj\n%s\nendobj\nstartxref\n14\n%%%%EOF" % body


def object_streams() -> Iterator[BadDocument]:
    """Objects that should be inside of other objects."""
    for name, entries, data in (
        ("many", b"/N 2147483647 /First 10", b"3 0 << /Type /Page >>"),
        ("beyond", b"/N 1 /First 99999999", b"3 0 << /Type /Page >>"),
        ("negative", b"/N -1 /First -1", b"3 0 << >>"),
        ("itself", b"/N 1 /First 4 /Extends 6 0 R", b"6 0 << >>"),
        ("rubbish", b"/N 3 /First 12", bytes(range(256))),
    ):
        holder = deflated(data, b"/Type /ObjStm " + entries)
        yield BadDocument(f"object-stream-{name}", packed_objects(holder))
    bomb = stream(blanks(300), b"/Type /ObjStm /N 2 /First 8 /Filter /FlateDecode")
    yield BadDocument("object-stream-bomb", packed_objects(bomb))
    inside = stream(blanks(300, 2), b"/Type /ObjStm /N 2 /First 8 /Filter [/FlateDecode /FlateDecode]")
    yield BadDocument("object-stream-nested-bomb", packed_objects(inside))


def packed_objects(holder: bytes) -> bytes:
    """A PDF whose page, number 3, is said to be in an object stream, number 6."""
    output = bytearray(b"%PDF-1.7\n")
    places: dict[int, int] = {}
    tree_of_pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    for number, body in {1: CATALOGUE, 2: tree_of_pages, 4: stream(HEADING), 5: HELVETICA, 6: holder}.items():
        places[number] = len(output)
        output += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    places[7] = len(output)
    entries = [(0, 0, 65535), *((1, places[n], 0) if n in places else (2, 6, 0) for n in range(1, 8))]
    rows = b"".join(
        bytes([kind]) + at.to_bytes(4, "big") + extra.to_bytes(2, "big") for kind, at, extra in entries
    )
    body = deflated(rows, b"/Type /XRef /Size 8 /W [1 4 2] /Root 1 0 R")
    return bytes(output + b"7 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF" % (body, places[7]))


def encryptions() -> Iterator[BadDocument]:
    for bits in (40, 128, 256):
        yield readable(f"encrypted-owner-{bits}", encrypted("", bits), *WORDS)
        yield refused(f"encrypted-user-{bits}", encrypted("secret", bits), "The PDF is encrypted")
    for name, entries in (
        ("unknown-handler", b"<< /Filter /Acme.Handler /V 4 /R 4 >>"),
        ("public-key", b"<< /Filter /Adobe.PubSec /V 4 /SubFilter /adbe.pkcs7.s5 /Recipients [(a)] >>"),
        ("version-huge", b"<< /Filter /Standard /V 99999 /R 99999 /O (a) /U (b) /P -1 >>"),
        ("length-huge", b"<< /Filter /Standard /V 2 /R 3 /Length 2147483640 /O (a) /U (b) /P -1 >>"),
        ("empty", b"<< >>"),
        ("short-keys", b"<< /Filter /Standard /V 5 /R 6 /O () /U () /OE () /UE () /Perms () /P 0 >>"),
        ("wrong-types", b"<< /Filter /Standard /V (a) /R [] /O 1 /U 2 /P << >> >>"),
        (
            "crypt-filters-loop",
            b"<< /Filter /Standard /V 4 /R 4 /CF 6 0 R /StmF /A /StrF /A /O (a) /U (b) /P 1 >>",
        ),
    ):
        content = page_pdf(stream(HEADING), entries, trailer=b"/Encrypt 6 0 R /ID [(a)(b)]")
        yield BadDocument(f"encrypt-{name}", content)
    yield BadDocument("encrypt-null", page_pdf(trailer=b"/Encrypt null"))
    yield BadDocument("encrypt-number", page_pdf(trailer=b"/Encrypt 7"))
    yield BadDocument("encrypt-missing", page_pdf(trailer=b"/Encrypt 99 0 R"))
    yield BadDocument("encrypt-is-page", page_pdf(trailer=b"/Encrypt 3 0 R"))


def syntax() -> Iterator[BadDocument]:
    yield BadDocument("syntax-deep-arrays", page_pdf(stream(HEADING), b"[" * 500_000, catalogue=b"/X 6 0 R"))
    yield BadDocument(
        "syntax-deep-page", page_pdf(page=MEDIA_BOX + b" /X " + b"[" * 200_000 + b"]" * 200_000)
    )
    yield BadDocument("syntax-deep-dictionaries", page_pdf(page=MEDIA_BOX + b" /X " + b"<</A " * 100_000))
    yield BadDocument("syntax-deep-strings", page_pdf(stream(b"(" * 2_000_000)))
    yield BadDocument("syntax-long-name", page_pdf(page=MEDIA_BOX + b" /" + b"N" * 2_000_000 + b" 1"))
    yield BadDocument("syntax-long-number", page_pdf(page=MEDIA_BOX + b" /Rotate " + b"9" * 1_000_000))
    yield BadDocument(
        "syntax-reference-loop", page_pdf(stream(HEADING), b"7 0 R", b"6 0 R", page=b"/MediaBox 6 0 R")
    )
    yield BadDocument("stream-length-loop", page_pdf(b"<< /Length 4 0 R >>\nstream\n%s\nendstream" % HEADING))
    yield BadDocument(
        "stream-length-huge", page_pdf(b"<< /Length 2147483647 >>\nstream\n%s\nendstream" % HEADING)
    )
    yield BadDocument(
        "stream-length-negative", page_pdf(b"<< /Length -9 >>\nstream\n%s\nendstream" % HEADING)
    )
    yield refused("syntax-header-only", b"%PDF-1.7\n")
    yield refused("syntax-header-and-rubbish", b"%PDF-1.7\n" + bytes(range(256)) * 2000)
    yield BadDocument("syntax-header-late", b"\n" * 1000 + page_pdf())
    yield readable("syntax-rubbish-behind", page_pdf() + b"\0" * 2_000_000, *WORDS)
    yield refused("syntax-endless-objects", b"%PDF-1.7\n" + b"1 0 obj " * 1_000_000)
    yield refused("syntax-only-trailers", b"%PDF-1.7\n" + b"trailer << /Root 1 0 R >>\n" * 200_000)
