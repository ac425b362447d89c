"""PNG, JPEG and WebP files that are bombs, cut or contradict themselves."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, PngImagePlugin

from tests.unit.extraction.bad.case import BadDocument, refused
from tests.unit.extraction.bad.pdf_resources import resized_jpeg
from tests.unit.extraction.bad.pdf_writer import page_pdf
from tests.unit.extraction.documents import encoded

SEED = 20260315
TOO_MANY = "The image has more than 40 megapixels"
NOT_SUPPORTED = "The document is not a PDF, JPEG, PNG, TIFF or WebP"
PNG_MARK = b"\x89PNG\r\n\x1a\n"


def pictures() -> Iterator[BadDocument]:
    """Return all of them."""
    yield from pngs()
    yield from jpegs()
    yield from webps()
    yield from disguised()


def blank(width: int = 60, height: int = 40, mode: str = "RGB") -> Image.Image:
    """A picture without a letter: recognition of it costs little."""
    return Image.new(mode, (width, height), "white")


def chunk(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    """A chunk of a PNG, perhaps with another length than its own."""
    size = len(body) if length is None else length
    return struct.pack(">I", size) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2, interlaced: int = 0
) -> bytes:
    """A PNG of chunks that follow its header."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return PNG_MARK + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def pngs() -> Iterator[BadDocument]:
    rows = zlib.compress((b"\0" + b"\xff" * 180) * 40)
    pixels, bomb = chunk(b"IDAT", rows), zlib.compress(bytes(50_000_000), 9)
    yield refused("png-square-bomb", png(50_000, 50_000, pixels), TOO_MANY)
    yield refused("png-largest", png(2**31 - 1, 2**31 - 1, pixels), TOO_MANY)
    yield refused("png-beyond-largest", png(2**32 - 1, 2**32 - 1, pixels))
    yield refused("png-no-size", png(0, 0, pixels))
    yield BadDocument("png-no-height", png(60, 0, pixels))
    yield BadDocument("png-too-much-data", png(60, 40, chunk(b"IDAT", bomb)))
    yield BadDocument("png-too-few-data", png(6000, 6000, pixels))
    yield BadDocument("png-no-data", png(60, 40))
    for kind in (b"zTXt", b"iCCP"):
        yield BadDocument(f"png-{kind.decode()}-bomb", png(60, 40, chunk(kind, b"name\0\0" + bomb), pixels))
    yield BadDocument("png-iTXt-bomb", png(60, 40, chunk(b"iTXt", b"name\0\1\0\0\0" + bomb), pixels))
    many = chunk(b"zTXt", b"name\0\0" + zlib.compress(bytes(900_000), 9)) * 200
    yield BadDocument("png-many-texts", png(60, 40, many, pixels))
    yield BadDocument("png-chunk-length", png(60, 40, chunk(b"IDAT", rows, 2**31 - 1)))
    yield BadDocument("png-chunk-length-negative", png(60, 40, chunk(b"IDAT", rows, 2**32 - 1)))
    yield BadDocument("png-checksum", png(60, 40, pixels).replace(rows[-4:], b"abcd"))
    yield BadDocument("png-depth", png(60, 40, pixels, depth=3))
    yield BadDocument("png-no-palette", png(60, 40, pixels, colour=3))
    yield BadDocument("png-odd-palette", png(60, 40, chunk(b"PLTE", b"ab" * 5000), pixels, colour=3))
    yield BadDocument("png-odd-transparency", png(60, 40, chunk(b"tRNS", b"a" * 5000), pixels))
    yield BadDocument("png-interlaced", png(60, 40, pixels, interlaced=1))
    yield BadDocument("png-two-headers", PNG_MARK + png(60, 40)[8:-12] * 2 + pixels)
    frames = struct.pack(">II", 2**31 - 1, 0)
    yield BadDocument("png-animation", png(60, 40, chunk(b"acTL", frames), pixels))
    frame = struct.pack(">IIIIIHHBB", 0, 2**31 - 1, 2**31 - 1, 2**31 - 1, 2**31 - 1, 1, 0, 9, 9)
    yield BadDocument(
        "png-animation-frame", png(60, 40, chunk(b"acTL", frames), chunk(b"fcTL", frame), pixels)
    )
    yield BadDocument("png-strip", encoded(blank(20_000, 2), "PNG"), "read")
    yield BadDocument("png-upright-strip", encoded(blank(2, 20_000), "PNG"), "read")
    yield BadDocument("png-pixel", encoded(blank(1, 1), "PNG"), "read")
    yield BadDocument(
        "png-resolution", png(60, 40, chunk(b"pHYs", struct.pack(">IIB", 2**32 - 1, 0, 1)), pixels)
    )
    information = PngImagePlugin.PngInfo()
    information.add(b"eXIf", exif_bomb())
    yield BadDocument("png-exif-bomb", encoded(blank(), "PNG", pnginfo=information))


def exif_bomb() -> bytes:
    """Directories that point at one another, and values that are said to have 4 GB."""
    directory = struct.pack("<H", 3)
    directory += struct.pack("<HHII", 0x8769, 4, 1, 8)
    directory += struct.pack("<HHII", 0x0112, 3, 2**32 - 1, 9)
    directory += struct.pack("<HHII", 0x927C, 7, 2**32 - 1, 8)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 8)


def segment(kind: int, body: bytes) -> bytes:
    """A marker segment of a JPEG."""
    return bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body


def with_segments(content: bytes, *segments: bytes) -> bytes:
    """The JPEG with segments behind its first marker."""
    return content[:2] + b"".join(segments) + content[2:]


def jpegs() -> Iterator[BadDocument]:
    plain = encoded(blank(), "JPEG")
    yield refused("jpeg-huge", resized_jpeg(plain, 65_500, 65_500), TOO_MANY)
    yield BadDocument("jpeg-large", resized_jpeg(plain, 6300, 6300))
    yield BadDocument("jpeg-no-height", resized_jpeg(plain, 60, 0))
    yield BadDocument("jpeg-no-width", resized_jpeg(plain, 0, 40))
    yield BadDocument("jpeg-strip", resized_jpeg(plain, 65_500, 40))
    for name, marker in (("tables", b"\xff\xdb"), ("codes", b"\xff\xc4"), ("scan", b"\xff\xda")):
        at = plain.index(marker) + 4
        yield BadDocument(f"jpeg-bad-{name}", plain[:at] + b"\xff" * 20 + plain[at + 20 :])
        yield BadDocument(f"jpeg-length-of-{name}", plain[: at - 2] + b"\xff\xff" + plain[at:])
        yield BadDocument(f"jpeg-no-length-of-{name}", plain[: at - 2] + b"\0\0" + plain[at:])
    for name, marker in (("lossless", b"\xff\xc3"), ("arithmetic", b"\xff\xc9"), ("unknown", b"\xff\xcf")):
        yield BadDocument(f"jpeg-{name}", plain.replace(b"\xff\xc0", marker))
    yield BadDocument("jpeg-twelve-bits", plain.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"))
    yield BadDocument("jpeg-cmyk", encoded(blank(mode="RGB").convert("CMYK"), "JPEG"), "read")
    yield BadDocument("jpeg-exif-bomb", with_segments(plain, segment(0xE1, b"Exif\0\0" + exif_bomb())))
    yield BadDocument(
        "jpeg-many-exif", with_segments(plain, *[segment(0xE1, b"Exif\0\0" + exif_bomb())] * 5000)
    )
    exif = Image.Exif()
    exif[0x0112] = 99
    yield BadDocument("jpeg-orientation", encoded(blank(), "JPEG", exif=exif.tobytes()), "read")
    junk = random.Random(SEED).randbytes(60_000)
    profiles = [segment(0xE2, b"ICC_PROFILE\0" + bytes([number, 200]) + junk) for number in (1, 1, 9, 0)]
    yield BadDocument("jpeg-profile", with_segments(plain, *profiles))
    multiple = segment(0xE2, b"MPF\0II*\0\x08\0\0\0\x01\0\x01\xb0\x04\0\xff\xff\xff\xff\0\0\0\0")
    yield BadDocument("jpeg-multiple", with_segments(plain, multiple))
    yield BadDocument("jpeg-comments", with_segments(plain, *[segment(0xFE, b"c" * 1000)] * 20_000))
    yield BadDocument("jpeg-fill-bytes", plain[:2] + b"\xff" * 3_000_000 + plain[2:])
    yield BadDocument("jpeg-marks-only", b"\xff\xd8" * 500_000)


def riff(*chunks: bytes, length: int | None = None) -> bytes:
    """A WebP of chunks."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def part(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    """A chunk of a WebP."""
    return kind + struct.pack("<I", len(body) if length is None else length) + body + b"\0" * (len(body) % 2)


def canvas(width: int, height: int, flags: int) -> bytes:
    """The header of a WebP with features."""
    return part(
        b"VP8X",
        bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
    )


def webps() -> Iterator[BadDocument]:
    plain, lossless = encoded(blank(), "WEBP"), encoded(blank(), "WEBP", lossless=True)
    picture = plain[12:]
    yield BadDocument("webp-canvas", riff(canvas(2**24, 2**24, 0), picture))
    yield BadDocument("webp-canvas-large", riff(canvas(16_383, 16_383, 0), picture))
    frames = [blank(60, 40).point(lambda value, level=level: value - level) for level in range(200)]
    yield BadDocument("webp-animation", encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    frame = part(
        b"ANMF", bytes(6) + (59).to_bytes(3, "little") + (39).to_bytes(3, "little") + bytes(4) + picture
    )
    header = part(b"ANIM", bytes(6))
    yield BadDocument("webp-animation-huge", riff(canvas(16_383, 16_383, 2), header, frame))
    yield BadDocument("webp-animation-long", riff(canvas(60, 40, 2), header, frame * 20_000))
    yield BadDocument("webp-no-frames", riff(canvas(60, 40, 2), header))
    yield BadDocument("webp-alpha", riff(canvas(60, 40, 16), part(b"ALPH", b"\x01rubbish"), picture))
    yield BadDocument("webp-length", riff(picture, length=2**32 - 1))
    yield BadDocument("webp-no-length", riff(picture, length=0))
    yield BadDocument("webp-chunk-length", riff(part(b"VP8 ", plain[20:], 2**32 - 2)))
    yield BadDocument("webp-largest", plain[:26] + b"\xff\x3f\xff\x3f" + plain[30:])
    yield BadDocument("webp-lossless-largest", lossless[:21] + b"\xff\xff\xff\x0f" + lossless[25:])
    yield BadDocument("webp-lossless-rubbish", lossless[:25] + random.Random(SEED).randbytes(5000))
    yield BadDocument("webp-exif-bomb", encoded(blank(), "WEBP", exif=exif_bomb()))
    yield BadDocument(
        "webp-profile", encoded(blank(), "WEBP", icc_profile=random.Random(SEED).randbytes(90_000))
    )
    yield BadDocument("webp-many-chunks", riff(canvas(60, 40, 0), part(b"JUNK", b"") * 200_000, picture))


def disguised() -> Iterator[BadDocument]:
    """Files that are something else than they seem."""
    yield refused("empty", b"", "The document is empty")
    yield refused("byte", b"%", NOT_SUPPORTED)
    yield refused("blanks", bytes(1_000_000), NOT_SUPPORTED)
    for kind in ("GIF", "BMP", "ICO", "PPM", "TGA"):
        yield refused(f"disguised-{kind.lower()}", encoded(blank(), kind), NOT_SUPPORTED)
    yield refused("disguised-html", b"<html><script>alert(1)</script></html>", NOT_SUPPORTED)
    yield refused("disguised-svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", NOT_SUPPORTED)
    yield refused("disguised-postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) (r) file", NOT_SUPPORTED)
    yield refused("disguised-zip", b"PK\x03\x04" + bytes(100), NOT_SUPPORTED)
    gif, jpeg = encoded(blank(), "GIF"), encoded(blank(), "JPEG")
    yield BadDocument("polyglot-gif-pdf", gif + page_pdf())
    yield BadDocument("polyglot-jpeg-pdf", with_segments(jpeg, segment(0xFE, page_pdf())), "read")
    yield BadDocument("polyglot-png-pdf", encoded(blank(), "PNG") + page_pdf(), "read")
    yield BadDocument("polyglot-pdf-zip", page_pdf() + b"PK\x03\x04" + bytes(100), "read")
    yield BadDocument("polyglot-pdf-in-pdf", page_pdf() + page_pdf())
    for kind, mark in (("jpeg", b"\xff\xd8\xff"), ("png", PNG_MARK), ("webp", b"RIFF\0\0\0\0WEBP")):
        yield refused(f"mark-of-{kind}", mark)
        yield refused(f"mark-of-{kind}-and-gif", mark + gif)
    yield refused("mark-of-tiff-and-gif", b"II*\0" + gif)
