"""Pages that were scanned, sent or stored in another way than a person holds them, through the reader."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import pytest
from PIL import Image, TiffImagePlugin

from pagemill.extraction.reading import PageReader
from pagemill.extraction.types import Page, ReadOptions, Word
from tests.unit.extraction import documents

AUTO = ReadOptions(auto_rotate=True)
PLAIN = ReadOptions()
ORIENTATION = 0x0112
LINES = 8
LETTER_SIZE = (850, 400)
# How an upright picture has to be stored so that the orientation makes it upright again.
STORED_AS: Mapping[int, tuple[Image.Transpose, ...]] = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}


@pytest.fixture(scope="module")
def reader() -> Iterator[PageReader]:
    with PageReader() as shared:
        yield shared


def read_one(reader: PageReader, content: bytes, options: ReadOptions = PLAIN) -> Page:
    (page,) = reader.read(content, [0], options).pages
    assert all(0 <= word.x0 < word.x1 <= 1 and 0 <= word.y0 < word.y1 <= 1 for word in page.words)
    return page


def texts(page: Page) -> list[str]:
    return [word.text for word in page.words]


def find(page: Page, text: str) -> Word:
    (word,) = [word for word in page.words if word.text == text]
    return word


def centre(word: Word) -> tuple[float, float]:
    return (word.x0 + word.x1) / 2, (word.y0 + word.y1) / 2


def assert_receipt(page: Page) -> None:
    """Text and places of the receipt, 420 x 270 pixels."""
    assert page.aspect == pytest.approx(420 / 270, rel=0.01)
    assert " ".join(texts(page)).upper() == "GREEN GROCER APPLES 12.50 TOTAL 47.90"
    assert centre(find(page, "47.90")) == pytest.approx((0.39, 0.71), abs=0.06)


def stored(image: Image.Image, orientation: int) -> Image.Image:
    for transpose in STORED_AS[orientation]:
        image = image.transpose(transpose)
    return image


@pytest.mark.parametrize("orientation", sorted(STORED_AS))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_orientation_tag_is_honoured(reader: PageReader, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = stored(documents.receipt_image(), orientation)
    option = {"tiffinfo": {ORIENTATION: orientation}} if kind == "TIFF" else {"exif": exif}
    assert_receipt(read_one(reader, documents.encoded(image, kind, **option)))


def test_each_page_of_a_tiff_has_its_own_orientation(reader: PageReader) -> None:
    output = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(output) as writer:
        for orientation in (6, 1, 3):
            frame = stored(documents.receipt_image(), orientation)
            frame.save(writer, "TIFF", tiffinfo={ORIENTATION: orientation})
            writer.newFrame()
    pages = reader.read(output.getvalue(), [0, 1, 2], PLAIN).pages
    assert len(pages) == 3
    for page in pages:
        assert_receipt(page)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_there_is_not_is_ignored(reader: PageReader, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert_receipt(read_one(reader, documents.encoded(documents.receipt_image(), "JPEG", exif=exif)))


def test_a_damaged_exif_block_is_ignored(reader: PageReader) -> None:
    content = documents.encoded(
        documents.receipt_image(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01"
    )
    assert_receipt(read_one(reader, content))


def test_orientation_comes_before_the_rotation_asked_for(reader: PageReader) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    image = stored(documents.receipt_image().rotate(90, expand=True), 6)
    page = read_one(reader, documents.encoded(image, "JPEG", exif=exif), ReadOptions(rotation=90))
    assert_receipt(page)


def letter() -> Image.Image:
    """A short letter: few lines, since each of them is recognised."""
    return documents.letter_image(LINES, LETTER_SIZE)


def assert_letter(page: Page) -> None:
    """All words in order. Two that stand close may have been read as one."""
    assert "".join(texts(page)) == "".join(documents.letter_lines(LINES)).replace(" ", "")


def fax(dpi: tuple[int, int], image: Image.Image | None = None) -> Image.Image:
    """A page as a fax sends it: black and white, with fewer lines than pixels in a line."""
    page = image or letter()
    size = round(page.width * dpi[0] / 100), round(page.height * dpi[1] / 100)
    return page.resize(size, Image.Resampling.LANCZOS).convert("1", dither=Image.Dither.NONE)


@pytest.mark.parametrize("dpi", [(204, 98), (204, 196), (100, 200)])
def test_a_fax_is_read_with_square_pixels(reader: PageReader, dpi: tuple[int, int]) -> None:
    content = documents.encoded(fax(dpi), "TIFF", compression="group4", dpi=dpi)
    page = read_one(reader, content)
    assert page.aspect == pytest.approx(850 / 400, rel=0.01)
    assert_letter(page)


def test_pages_of_a_fax_may_differ(reader: PageReader) -> None:
    output = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(output) as writer:
        for dpi in ((204, 98), (204, 196)):
            fax(dpi, documents.receipt_image()).save(writer, "TIFF", compression="group4", dpi=dpi)
            writer.newFrame()
    pages = reader.read(output.getvalue(), [0, 1], PLAIN).pages
    assert len(pages) == 2
    for page in pages:
        assert_receipt(page)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_unequal_resolution_of_other_formats(reader: PageReader, kind: str) -> None:
    receipt = documents.receipt_image()
    flat = receipt.resize((receipt.width * 2, receipt.height), Image.Resampling.LANCZOS)
    assert_receipt(read_one(reader, documents.encoded(flat, kind, dpi=(400, 200))))


def test_a_fax_that_was_fed_sideways(reader: PageReader) -> None:
    """The resolution belongs to the stored picture; the orientation is applied to square pixels."""
    sideways = stored(documents.receipt_image(), 6)
    flat = sideways.resize((sideways.width * 2, sideways.height), Image.Resampling.LANCZOS)
    content = documents.encoded(flat, "TIFF", dpi=(400, 200), tiffinfo={ORIENTATION: 6})
    assert_receipt(read_one(reader, content))


def test_a_fax_is_turned_upright(reader: PageReader) -> None:
    upside_down = letter().rotate(180)
    content = documents.encoded(fax((204, 98), upside_down), "TIFF", compression="group4", dpi=(204, 98))
    page = read_one(reader, content, AUTO)
    assert page.aspect == pytest.approx(850 / 400, rel=0.01)
    assert_letter(page)


@pytest.mark.parametrize("dpi", [(72, 72), (0, 0), (1, 300), (300, 299)])
def test_a_resolution_that_says_nothing_changes_nothing(reader: PageReader, dpi: tuple[int, int]) -> None:
    content = documents.encoded(documents.receipt_image(), "JPEG", dpi=dpi)
    assert_receipt(read_one(reader, content))


def test_a_camera_s_jpeg_with_a_second_picture(reader: PageReader) -> None:
    small = documents.receipt_image().resize((42, 27))
    content = documents.encoded(documents.receipt_image(), "MPO", save_all=True, append_images=[small])
    assert reader.inspect(content).number_of_pages == 1
    assert_receipt(read_one(reader, content))


@pytest.mark.parametrize(
    ("degrees", "skew"),
    [(0, 0.0), (90, 0.0), (180, 0.0), (270, 0.0), (0, -5.0), (90, 3.0), (180, 7.0), (270, -2)],
)
def test_a_letter_is_read_as_if_it_lay_straight(reader: PageReader, degrees: int, skew: float) -> None:
    """Words are in the order of the straight page, boxes are where they are on the skewed one."""
    skewed = letter().rotate(-skew, expand=True, resample=Image.Resampling.BICUBIC, fillcolor="white")
    page = read_one(reader, documents.encoded(skewed.rotate(degrees, expand=True), "PNG"), AUTO)
    assert page.aspect == pytest.approx(skewed.width / skewed.height, rel=0.01)
    assert_letter(page)
    for word in page.words:
        across, down = centre(word)
        left, top = round(across * skewed.width), round(down * skewed.height)
        assert min(skewed.crop((left - 9, top - 5, left + 9, top + 5)).convert("L").getextrema()) < 128
        assert word.y1 - word.y0 < 0.25


def test_without_auto_rotation_a_skewed_page_stays(reader: PageReader) -> None:
    content = documents.encoded(letter().rotate(-2, expand=True, fillcolor="white"), "PNG")
    as_it_is, upright = read_one(reader, content), read_one(reader, content, AUTO)
    assert as_it_is.aspect == upright.aspect
    assert len("".join(texts(as_it_is))) == len("".join(texts(upright)))


def test_the_rotation_asked_for_comes_first(reader: PageReader) -> None:
    sideways = letter().rotate(90, expand=True)
    page = read_one(reader, documents.encoded(sideways, "PNG"), ReadOptions(rotation=180, auto_rotate=True))
    assert page.aspect == pytest.approx(850 / 400, rel=0.01)
    assert_letter(page)


def test_an_empty_page_is_left_as_it_is(reader: PageReader) -> None:
    page = read_one(reader, documents.encoded(Image.new("RGB", (600, 400), "white"), "PNG"), AUTO)
    assert (page.words, page.aspect) == ([], pytest.approx(1.5))
