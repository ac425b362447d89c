"""What a person sees on a page of a PDF is what is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import pytest
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading import PageReader
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.recognition.recognizer import Recognizer
from pagemill.extraction.types import ImageQuality, Page, ReadOptions, Word
from pagemill.rotation import Rotation
from tests.unit.extraction import seen_documents as seen

PLAIN = ReadOptions()
DYNAMIC = re.escape("a dynamic (XFA) form: print it to PDF first")


@pytest.fixture(scope="module")
def reader() -> Iterator[PageReader]:
    with PageReader() as shared:
        yield shared


def read(reader: PageReader, content: bytes, options: ReadOptions = PLAIN) -> Page:
    (page,) = reader.read(content, [0], options).pages
    assert all(0 <= word.x0 < word.x1 <= 1 and 0 <= word.y0 < word.y1 <= 1 for word in page.words)
    return page


def texts(page: Page) -> list[str]:
    return [word.text for word in page.words]


FORMS = {
    "as the format asks": b"/NeedAppearances true /DA (/F1 11 Tf 0 g) /DR << /Font << /F1 3 0 R >> >>",
    "without the request": b"/DA (/F1 11 Tf 0 g) /DR << /Font << /F1 3 0 R >> >>",
    "without resources": b"/NeedAppearances true",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("rotate", [0, 90, 180])
def test_values_that_no_program_has_drawn(reader: PageReader, form: bytes, rotate: int) -> None:
    values = ("INV-2024-0917", "17.09.2024", "1.234,56")
    fields = [
        seen.field(f"field{number}", f"/FT /Tx /F 4 /V ({value}) /DA (/F1 11 Tf 0 g)", 200, 200 - 40 * number)
        for number, value in enumerate(values)
    ]
    page = read(reader, seen.form_pdf(fields, form=form, rotate=rotate))
    assert sorted(texts(page)) == sorted(["Customs", "form", *values])
    (total,) = [word for word in page.words if word.text == "1.234,56"]
    across, down = (total.x0 + total.x1) / 2, (total.y0 + total.y1) / 2
    # The field is 200 to 380 points from the left and 120 to 140 from the bottom, before the page is turned.
    x, y = {0: (0.55, 0.567), 90: (0.433, 0.55), 180: (0.45, 0.433)}[rotate]
    assert (across, down) == pytest.approx((x, y), abs=0.08)


def test_kinds_of_fields(reader: PageReader) -> None:
    look = "/F 4 /DA (/F1 11 Tf 0 g)"
    street = "/V (First Street 12\\nBergen)"
    country = "/V (no) /Opt [ [ (no) (Norway) ] [ (se) (Sweden) ] ]"
    fields = [
        seen.field("lines", f"/FT /Tx /Ff {seen.MULTI_LINE} {look} {street}", 200, 200, height=50),
        seen.field("comb", f"/FT /Tx /Ff {seen.COMB} /MaxLen 10 {look} /V (86011117)", 200, 170),
        seen.field("choice", f"/FT /Ch /Ff {seen.COMBO} {look} {country}", 200, 140),
        seen.field("check", f"/FT /Btn {look} /V /Yes /AS /Yes", 200, 110, width=14, height=14),
        seen.field("password", f"/FT /Tx /Ff {seen.PASSWORD} {look} /V (SECRET)", 200, 80),
        seen.field("empty", f"/FT /Tx {look}", 200, 50),
    ]
    found = texts(read(reader, seen.form_pdf(fields)))
    assert [text for text in found if "*" not in text] == [
        *("Customs", "form", "First", "Street", "12", "Bergen", "86011117", "Norway")
    ]


@pytest.mark.parametrize("flag", [seen.HIDDEN, seen.NO_VIEW])
def test_hidden_fields_are_not_read(reader: PageReader, flag: int) -> None:
    look = "/FT /Tx /DA (/F1 11 Tf 0 g)"
    fields = [
        seen.field("ghost", f"{look} /F {flag} /V (GHOST)", 200, 200),
        seen.field("shown", f"{look} /F {seen.PRINTED} /V (SHOWN)", 200, 150),
    ]
    assert texts(read(reader, seen.form_pdf(fields))) == ["Customs", "form", "SHOWN"]


def test_a_value_in_letters_that_no_font_has(reader: PageReader) -> None:
    hexadecimal = ("\ufeff" + "Жуков").encode("utf-16-be").hex()
    fields = [seen.field("name", f"/FT /Tx /F 4 /DA (/F1 11 Tf 0 g) /V <{hexadecimal}>", 200, 200)]
    page = read(reader, seen.form_pdf(fields))
    assert "Жуков" in texts(page)


def test_a_field_that_inherits_its_value(reader: PageReader) -> None:
    assert texts(read(reader, seen.inherited_field_pdf())) == ["Customs", "form", "1.234,56"]


def test_a_value_that_is_drawn_is_read_once(reader: PageReader) -> None:
    assert texts(read(reader, seen.drawn_field_pdf())) == ["Customs", "form", "Ferdinand"]


@pytest.mark.parametrize("document", seen.HIDDEN_TEXT)
def test_text_that_is_not_shown_is_not_read(reader: PageReader, document: Callable[[], bytes]) -> None:
    page = read(reader, document())
    assert page.source == "text"
    assert texts(page) == ["Invoice", "INV-54001", "Total", "due", "250.00"]


def test_layers_that_are_on_are_read(reader: PageReader) -> None:
    layers = seen.Layers()
    content = b"/OC /Hidden BDC %s EMC /OC /Shown BDC %s EMC" % (seen.SEEN, seen.GHOST)
    page = read(reader, layers.file(content, configuration=b"/BaseState /ON"))
    assert texts(page)[-4:] == ["Total", "due", "999.99", "DRAFTVOID"]
    assert len(page.words) == 9


@pytest.mark.parametrize("marked", [True, False])
def test_pictures_that_are_not_shown_are_not_read(reader: PageReader, marked: bool) -> None:
    page = read(reader, seen.picture_on_layer(marked=marked))
    assert texts(page) == ["Invoice", "INV-54001", "Total", "due", "250.00"]


CLAIMS = [
    seen.shifted,
    seen.digits_swapped,
    seen.one_digit_for_two,
    seen.private_use,
    seen.nothing,
    seen.vowels_moved,
    seen.capitals_moved,
]


@pytest.mark.parametrize("claimed", CLAIMS)
def test_a_text_layer_that_says_something_else_is_not_used(
    reader: PageReader, claimed: Callable[[str], str]
) -> None:
    page = read(reader, seen.claiming_pdf(claimed))
    assert page.source == "ocr"
    assert " ".join(texts(page)) == " ".join(seen.LINES)


@pytest.mark.parametrize("claimed", [*CLAIMS, None])
def test_an_embedded_font_that_says_something_else(
    reader: PageReader, claimed: Callable[[str], str] | None
) -> None:
    page = read(reader, seen.glyph_numbers_pdf(claimed))
    assert page.source == "ocr"
    assert " ".join(texts(page)) == " ".join(seen.LINES)


def test_an_embedded_font_that_says_what_it_draws() -> None:
    recognizer = Counting()
    with PageReader(recognizer=recognizer) as own:
        (page,) = own.read(seen.glyph_numbers_pdf(str), [0], PLAIN).pages
    assert page.source == "text"
    assert " ".join(texts(page)) == " ".join(seen.LINES)
    assert recognizer.samples == 0


def test_a_font_in_doubt_is_not_used_on_later_pages(reader: PageReader) -> None:
    pages = reader.read(seen.claiming_pdf(seen.shifted, pages=3), [1, 2], PLAIN).pages
    assert [page.source for page in pages] == ["ocr", "ocr"]
    assert all("INV-61001" in texts(page) for page in pages)


def test_a_true_text_layer_is_used(reader: PageReader) -> None:
    page = read(reader, seen.claiming_pdf(lambda character: character))
    assert page.source == "text"
    assert " ".join(texts(page)) == " ".join(seen.LINES)


SCANNED = ("Harbour Crane", "Invoice INV-70012", "Oil 1162.80", "Total due 1320.00")


@pytest.mark.parametrize("beneath", [False, True])
def test_a_text_layer_of_a_scan_is_used_when_it_is_right(reader: PageReader, beneath: bool) -> None:
    # More than a few characters, or the page counts as a scan with a stamp.
    layer = [f"{line}{' ' * 80}{'.' * 60}" for line in SCANNED]
    page = read(reader, seen.scan_with_text_layer(SCANNED, layer, beneath=beneath))
    assert page.source == "text"
    assert "INV-70012" in texts(page)


@pytest.mark.parametrize("beneath", [False, True])
def test_rubbish_over_a_scan_is_not_used(reader: PageReader, beneath: bool) -> None:
    rubbish = ("Hnrb0vr Cmmo qwxz", "lmvclce lMV vvwq", "Qll llbZ zzkk", "Tqlql dwe wrkk")
    layer = [f"{line}{' ' * 80}{'.' * 60}" for line in rubbish]
    page = read(reader, seen.scan_with_text_layer(SCANNED, layer, beneath=beneath))
    assert page.source == "ocr"
    assert {"INV-70012", "1162.80", "1320.00"} <= set(texts(page))


def test_a_picture_on_a_digital_page(reader: PageReader) -> None:
    page = read(reader, seen.canvas_pdf(seen.letterhead))
    assert page.source == "text"
    assert texts(page)[:3] == ["Meadow", "Lane", "NO9386011117947"]
    assert [texts(page).count(text) for text in ("INV-62001", "Consulting", "320.00")] == [1, 1, 2]
    (account,) = [word for word in page.words if word.text == "NO9386011117947"]
    assert account.x0 == pytest.approx(46 / 400, abs=0.02)
    assert 1 - 260 / 300 < account.y0 < account.y1 < 1 - 215 / 300


PICTURES = [
    seen.letterhead,
    seen.picture_in_form,
    seen.picture_in_slices,
    seen.picture_as_mask,
    seen.picture_inline,
]


@pytest.mark.parametrize("draw", PICTURES)
def test_ways_to_draw_a_picture(reader: PageReader, draw: Callable[[canvas.Canvas], None]) -> None:
    found = texts(read(reader, seen.canvas_pdf(draw)))
    assert found[:3] == ["Meadow", "Lane", "NO9386011117947"]
    assert found[3:] == ["Invoice", "INV-62001", "Consulting", "2", "320.00", "Total", "due", "320.00"]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_picture_on_a_page_that_is_turned(reader: PageReader, rotation: Rotation) -> None:
    content = seen.canvas_pdf(seen.letterhead).replace(b"/Rotate 0", b"/Rotate %d" % (360 - rotation))
    page = read(reader, content, ReadOptions(rotation=rotation))
    assert texts(page)[:3] == ["Meadow", "Lane", "NO9386011117947"]


def test_outlined_letters_are_read(reader: PageReader) -> None:
    found = texts(read(reader, seen.canvas_pdf(seen.outlined_letters)))
    assert found[:2] == ["MEADOW", "92-417"]
    assert len(found) == 10


def test_text_printed_over_a_picture_is_read_once(reader: PageReader) -> None:
    def draw(drawing: canvas.Canvas) -> None:
        image = ImageReader(seen.picture(("Meadow Lane", "")))
        drawing.drawImage(image, 40, 200, 240, 60)
        drawing.drawString(60, 210, "Invoice INV-62001")
        seen.digital_part(drawing)

    found = texts(read(reader, seen.canvas_pdf(draw)))
    assert found.count("INV-62001") == 2
    assert found[:4] == ["Meadow", "Lane", "Invoice", "INV-62001"]


def test_words_of_a_picture_that_the_text_layer_has_are_read_once(reader: PageReader) -> None:
    def draw(drawing: canvas.Canvas) -> None:
        drawing.drawImage(ImageReader(seen.picture(("Meadow Lane",), size=48, width=400)), 40, 220, 200, 53)
        drawing.setFont("Helvetica", 22)
        drawing.drawString(52, 236, "Meadow Lane")
        seen.digital_part(drawing)

    assert texts(read(reader, seen.canvas_pdf(draw))).count("Meadow") == 1


class Counting(Recognizer):
    """A recogniser that counts the pictures, and the samples of text layers."""

    pictures = samples = 0

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        self.pictures += 1
        return super().words(pixels, quality)

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        self.samples += len(crops)
        return super().lines(crops)


def test_a_logo_is_recognised_once() -> None:
    recognizer = Counting()
    with PageReader(recognizer=recognizer) as own:
        reading = own.read(seen.canvas_pdf(seen.letterhead, pages=3), [0, 1, 2], PLAIN)
        again = own.read(seen.canvas_pdf(seen.letterhead), [0], PLAIN)
    assert [texts(page)[0] for page in (*reading.pages, *again.pages)] == ["Meadow"] * 4
    assert recognizer.pictures == 1


def test_frames_and_even_areas_are_not_recognised() -> None:
    def draw(drawing: canvas.Canvas) -> None:
        frame = Image.new("RGB", (300, 100), "grey")
        ImageDraw.Draw(frame).rectangle((5, 5, 294, 94), outline="black", width=2)
        drawing.drawImage(ImageReader(frame), 40, 200, 200, 60)
        drawing.drawImage(ImageReader(Image.new("RGB", (50, 50), "navy")), 300, 200, 50, 50)
        seen.digital_part(drawing)

    recognizer = Counting()
    with PageReader(recognizer=recognizer) as own:
        (page,) = own.read(seen.canvas_pdf(draw), [0], PLAIN).pages
    assert (page.source, len(page.words), recognizer.pictures) == ("text", 8, 0)


@pytest.mark.parametrize("needs_rendering", [True, False])
def test_dynamic_forms_are_refused(reader: PageReader, needs_rendering: bool) -> None:
    content = seen.dynamic_form(needs_rendering=needs_rendering)
    with pytest.raises(DocumentUnreadable, match=DYNAMIC):
        reader.inspect(content)
    with pytest.raises(DocumentUnreadable, match=DYNAMIC):
        read(reader, content)


@pytest.mark.parametrize("needs_rendering", [True, False])
def test_forms_with_a_template_and_fields_are_read(reader: PageReader, needs_rendering: bool) -> None:
    page = read(reader, seen.dynamic_form(needs_rendering=needs_rendering, fields=True))
    assert "120.00" in texts(page)


def test_pages_with_a_template_that_was_left_over_are_read(reader: PageReader) -> None:
    assert reader.inspect(seen.dynamic_form(needs_rendering=False, pages=3)).number_of_pages == 3
