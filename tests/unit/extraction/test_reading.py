"""Documents become words on pages; what cannot be read is one classified failure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading import PageReader, ReadLimits
from pagemill.extraction.types import Page, ReadOptions, Word
from tests.unit.extraction import documents

PLAIN = ReadOptions()


@pytest.fixture(scope="module")
def reader() -> Iterator[PageReader]:
    with PageReader() as shared:
        yield shared


def texts(page: Page) -> list[str]:
    return [word.text for word in page.words]


def find(page: Page, text: str) -> Word:
    (word,) = [word for word in page.words if word.text == text]
    return word


def read_one(reader: PageReader, content: bytes, options: ReadOptions = PLAIN) -> Page:
    (page,) = reader.read(content, [0], options).pages
    assert all(0 <= word.x0 < word.x1 <= 1 and 0 <= word.y0 < word.y1 <= 1 for word in page.words)
    return page


def assert_receipt(page: Page) -> None:
    assert page.source == "ocr"
    assert " ".join(texts(page)).upper() == "GREEN GROCER APPLES 12.50 TOTAL 47.90"


@pytest.mark.parametrize(
    ("content", "content_type", "pages"),
    [
        (documents.text_pdf(3), "application/pdf", 3),
        (documents.encoded(documents.receipt_image(), "JPEG"), "image/jpeg", 1),
        (documents.encoded(documents.receipt_image(), "PNG"), "image/png", 1),
        (documents.encoded(documents.receipt_image(), "WEBP"), "image/webp", 1),
        (documents.encoded(documents.receipt_image(), "TIFF"), "image/tiff", 1),
    ],
    ids=["pdf", "jpeg", "png", "webp", "tiff"],
)
def test_inspect(reader: PageReader, content: bytes, content_type: str, pages: int) -> None:
    information = reader.inspect(content)
    assert (information.content_type, information.number_of_pages) == (content_type, pages)


def test_text_layer_in_reading_order_with_boxes(reader: PageReader) -> None:
    page = read_one(reader, documents.text_pdf())
    assert page.source == "text"
    assert page.aspect == pytest.approx(4 / 3)
    assert texts(page) == ["Invoice", "Heading", "Blue", "widgets", "99.50", "Page", "1"]
    amount = find(page, "99.50")
    assert amount.x0 == pytest.approx(300 / 400, abs=0.01)
    assert amount.x1 == pytest.approx((300 + 25) / 400, abs=0.01)
    assert amount.y0 < 1 - 150 / 300 <= amount.y1 < 1 - 145 / 300
    assert amount.y1 - amount.y0 == pytest.approx(10 / 300, abs=0.02)


def test_columns_are_read_one_after_the_other(reader: PageReader) -> None:
    page = read_one(reader, documents.columns_pdf())
    assert " ".join(texts(page)) == " ".join([*documents.SELLER, *documents.BUYER, *documents.ROWS])


@pytest.mark.parametrize(
    ("rotate", "aspect", "x", "y"),
    [(0, 4 / 3, 0.1, 0.13), (90, 3 / 4, 0.87, 0.1), (180, 4 / 3, 0.9, 0.87), (270, 3 / 4, 0.13, 0.9)],
)
def test_boxes_are_of_the_page_as_shown(
    reader: PageReader, rotate: int, aspect: float, x: float, y: float
) -> None:
    """The heading starts 40 points from the left and about 40 from the top, before the page is turned."""
    page = read_one(reader, documents.text_pdf(rotate=rotate))
    assert page.aspect == pytest.approx(aspect)
    heading = find(page, "Invoice")
    assert min(abs(heading.x0 - x), abs(heading.x1 - x)) < 0.05
    assert min(abs(heading.y0 - y), abs(heading.y1 - y)) < 0.05


def test_crop_box_moves_boxes(reader: PageReader) -> None:
    cropped = documents.text_pdf().replace(b"/MediaBox", b"/CropBox [ 40 0 400 200 ] /MediaBox")
    page = read_one(reader, cropped)
    assert page.aspect == pytest.approx(360 / 200)
    assert texts(page) == ["Blue", "widgets", "99.50", "Page", "1"]
    assert find(page, "99.50").x0 == pytest.approx(260 / 360, abs=0.01)


def test_rotation_is_applied_clockwise(reader: PageReader) -> None:
    upright = find(read_one(reader, documents.text_pdf()), "99.50")
    turned_page = read_one(reader, documents.text_pdf(), ReadOptions(rotation=90))
    turned = find(turned_page, "99.50")
    assert turned_page.aspect == pytest.approx(3 / 4)
    assert (turned.x0, turned.y0) == pytest.approx((1 - upright.y1, upright.x0))


def test_rotation_undoes_the_rotation_of_a_page(reader: PageReader) -> None:
    upright = read_one(reader, documents.text_pdf())
    undone = read_one(reader, documents.text_pdf(rotate=90), ReadOptions(rotation=270))
    assert texts(undone) == texts(upright)
    assert find(undone, "99.50").x0 == pytest.approx(find(upright, "99.50").x0, abs=0.001)


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_auto_rotation_of_a_text_layer(reader: PageReader, rotate: int) -> None:
    page = read_one(reader, documents.text_pdf(rotate=rotate), ReadOptions(auto_rotate=True))
    assert texts(page) == ["Invoice", "Heading", "Blue", "widgets", "99.50", "Page", "1"]


def test_sideways_text(reader: PageReader) -> None:
    assert set(texts(read_one(reader, documents.sideways_pdf()))) == {"Printed", "sideways", "here"}
    upright = read_one(reader, documents.sideways_pdf(), ReadOptions(auto_rotate=True))
    assert texts(upright) == ["Printed", "sideways", "here"]


def test_values_in_form_fields_are_read(reader: PageReader) -> None:
    assert texts(read_one(reader, documents.form_pdf())) == ["Customer", "name", "below", "Ferdinand"]


def test_pages_in_the_order_asked_and_out_of_range_ignored(reader: PageReader) -> None:
    reading = reader.read(documents.text_pdf(3), [2, 9, 0, -1], PLAIN)
    assert reading.number_of_pages == 3
    assert [page.index for page in reading.pages] == [2, 0]
    assert [texts(page)[-1] for page in reading.pages] == ["3", "1"]


def test_no_pages(reader: PageReader) -> None:
    assert reader.read(documents.text_pdf(2), [], PLAIN).pages == []


def test_scanned_pdf_is_recognised(reader: PageReader) -> None:
    page = read_one(reader, documents.scanned_pdf())
    assert_receipt(page)
    total = find(page, "47.90")
    assert total.x0 == pytest.approx(123 / 420, abs=0.06)
    assert total.y0 < 192 / 270 < total.y1


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "JPEG"),
        ("CMYK", "JPEG"),
        ("RGBA", "PNG"),
        ("P", "PNG"),
        ("I;16", "PNG"),
        ("1", "TIFF"),
        ("L", "WEBP"),
    ],
)
def test_image_modes(reader: PageReader, mode: str, kind: str) -> None:
    assert_receipt(read_one(reader, documents.encoded(documents.receipt_image(mode), kind)))


def test_transparency_is_white_paper(reader: PageReader) -> None:
    ink = documents.receipt_image("L").point(lambda value: 255 - value)
    layered = Image.new("RGBA", ink.size, (0, 0, 0, 0))
    layered.putalpha(ink)
    assert_receipt(read_one(reader, documents.encoded(layered, "PNG")))


def test_multi_page_tiff(reader: PageReader) -> None:
    frames = [documents.receipt_image("L", (line,)) for line in documents.RECEIPT]
    content = documents.encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert reader.inspect(content).number_of_pages == 3
    (last, first) = reader.read(content, [2, 0], PLAIN).pages
    assert texts(last) == ["Total", "47.90"]
    assert texts(first) == ["GREEN", "GROCER"]


def test_exif_orientation_is_honoured(reader: PageReader) -> None:
    stored = documents.receipt_image().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    page = read_one(reader, documents.encoded(stored, "JPEG", exif=exif.tobytes()))
    assert page.aspect == pytest.approx(420 / 270)
    assert_receipt(page)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_auto_rotation_of_an_image(reader: PageReader, degrees: int) -> None:
    image = documents.receipt_image().rotate(degrees, expand=True)
    page = read_one(reader, documents.encoded(image, "PNG"), ReadOptions(auto_rotate=True))
    assert page.aspect == pytest.approx(420 / 270)
    assert_receipt(page)


def test_blank_and_tiny_images_have_no_words(reader: PageReader) -> None:
    assert read_one(reader, documents.encoded(Image.new("RGB", (1, 1)), "PNG")).words == []
    assert read_one(reader, documents.encoded(Image.new("RGB", (300, 2), "white"), "PNG")).words == []


JPEG = documents.encoded(documents.receipt_image(), "JPEG")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The document is empty"),
        (b"\x07garbage" * 50, "The document is not a PDF, JPEG, PNG, TIFF or WebP"),
        (b"%PDF-1.7 and then nothing", "The document is damaged: it is not a valid PDF"),
        (documents.text_pdf(password="secret"), "The PDF is encrypted"),
        (JPEG[: len(JPEG) // 2], "The document is damaged: image file is truncated"),
        (documents.encoded(documents.receipt_image(), "PNG")[:60], "The document is damaged: "),
        (b"II*\0\x08\0\0\0\xff\xff", "The document is damaged: it is not a valid image"),
        (b"RIFF\x10\0\0\0WEBPVP8 nonsense", "The document is damaged: "),
        (documents.bomb_png(), "The image has more than 40 megapixels"),
    ],
    ids=[
        "empty",
        "garbage",
        "pdf",
        "encrypted",
        "jpeg",
        "png",
        "tiff",
        "webp",
        "bomb",
    ],
)
def test_unreadable_documents_say_why(reader: PageReader, content: bytes, message: str) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        reader.read(content, [0], PLAIN)
    assert caught.value.message.startswith(message)
    assert caught.value.status == 400
    assert "/" not in caught.value.message
    assert "0x" not in caught.value.message
    assert reader.inspect(documents.text_pdf()).number_of_pages == 1


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ReadLimits(content_bytes=100), "The document is larger than 100 bytes"),
        (ReadLimits(pages=2), "The document has more than 2 pages"),
    ],
)
def test_bounds_on_content_and_pages(limits: ReadLimits, message: str) -> None:
    with PageReader(limits) as bounded, pytest.raises(DocumentUnreadable) as caught:
        bounded.inspect(documents.text_pdf(3))
    assert caught.value.message == message


def test_words_of_a_page_are_bounded() -> None:
    with PageReader(ReadLimits(words_per_page=3)) as bounded:
        assert len(read_one(bounded, documents.text_pdf()).words) == 3
