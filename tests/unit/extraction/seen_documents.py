"""PDFs in which what is seen and what a text layer says are not the same."""

from __future__ import annotations

import ctypes
import io
from collections.abc import Callable, Mapping, Sequence

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.ttfonts import TTFont, TTFontFace
from reportlab.pdfgen import canvas

from tests.unit.extraction.pdf_objects import PdfObjects, text_lines

PAGE = (400.0, 300.0)
SEEN = text_lines("Invoice INV-54001", "Total due 250.00")
GHOST = text_lines("Total due 999.99", "DRAFTVOID", y=100)

MULTI_LINE, PASSWORD, COMBO, COMB = 1 << 12, 1 << 13, 1 << 17, 1 << 24
HIDDEN, PRINTED, NO_VIEW = 2, 4, 32


def field(name: str, entries: str, x: float, y: float, width: float = 180, height: float = 20) -> bytes:
    """The dictionary of a form field and its place, without an appearance."""
    box = f"/Rect [ {x} {y} {x + width} {y + height} ]"
    return f"<< /Type /Annot /Subtype /Widget /T ({name}) {box} {entries} >>".encode("latin-1")


def form_pdf(
    fields: Sequence[bytes],
    *,
    form: bytes = b"/NeedAppearances true /DA (/F1 11 Tf 0 g) /DR << /Font << /F1 3 0 R >> >>",
    rotate: int = 0,
) -> bytes:
    """A form whose fields no program has drawn."""
    document = PdfObjects()
    numbers = [document.add(one) for one in fields]
    document.page(text_lines("Customs form"), annotations=numbers, entries=b"/Rotate %d" % rotate)
    listed = b" ".join(b"%d 0 R" % number for number in numbers)
    return document.file(b"/AcroForm << /Fields [ %s ] %s >>" % (listed, form))


def inherited_field_pdf() -> bytes:
    """A field whose value and kind stand in its parent."""
    document = PdfObjects()
    kid = document.reserve()
    entries = b"/FT /Tx /T (total) /V (1.234,56) /DA (/F1 11 Tf 0 g)"
    parent = document.add(b"<< %s /Kids [ %d 0 R ] >>" % (entries, kid))
    place = b"/Type /Annot /Subtype /Widget /F 4 /Rect [ 200 150 380 170 ]"
    document.add(b"<< %s /Parent %d 0 R >>" % (place, parent), kid)
    document.page(text_lines("Customs form"), annotations=[kid])
    resources = b"/DR << /Font << /F1 3 0 R >> >>"
    return document.file(b"/AcroForm << /Fields [ %d 0 R ] /NeedAppearances true %s >>" % (parent, resources))


def drawn_field_pdf() -> bytes:
    """A field with an appearance, which a program has drawn."""
    document = PdfObjects()
    entries = b"/Type /XObject /Subtype /Form /BBox [ 0 0 180 20 ] /Resources << /Font << /F1 3 0 R >> >>"
    look = document.stream(text_lines("Ferdinand", x=2, y=5), entries)
    number = document.add(
        field(
            "customer", f"/FT /Tx /F 4 /V (Ferdinand) /DA (/F1 11 Tf 0 g) /AP << /N {look} 0 R >>", 200, 150
        )
    )
    document.page(text_lines("Customs form"), annotations=[number])
    return document.file(b"/AcroForm << /Fields [ %d 0 R ] /DR << /Font << /F1 3 0 R >> >> >>" % number)


class Layers:
    """A document with a layer that is off, number ``hidden``, and one that is on, number ``shown``."""

    def __init__(self, usage: bytes = b"") -> None:
        self.document = PdfObjects()
        self.hidden = self.document.add(b"<< /Type /OCG /Name (Draft) %s >>" % usage)
        self.shown = self.document.add(b"<< /Type /OCG /Name (Final) >>")
        self.properties = b"/Hidden %d 0 R /Shown %d 0 R" % (self.hidden, self.shown)

    def form(self, content: bytes, entries: bytes = b"") -> int:
        """Add a form XObject."""
        resources = b"/Resources << /Font << /F1 3 0 R >> /Properties << %s >> >>" % self.properties
        kind = b"/Type /XObject /Subtype /Form /BBox [ 0 0 400 300 ]"
        return self.document.stream(content, b"%s %s %s" % (kind, resources, entries))

    def file(
        self,
        content: bytes,
        *,
        configuration: bytes | None = None,
        objects: Mapping[str, int] | None = None,
        annotations: Sequence[int] = (),
    ) -> bytes:
        """Return a document of one page."""
        listed = b" ".join(b"/%s %d 0 R" % (name.encode(), at) for name, at in (objects or {}).items())
        resources = b"/Font << /F1 3 0 R >> /Properties << %s >> /XObject << %s >>" % (
            self.properties,
            listed,
        )
        self.document.page(content, resources=resources, annotations=annotations)
        state = configuration or b"/BaseState /ON /OFF [ %d 0 R ]" % self.hidden
        groups = b"[ %d 0 R %d 0 R ]" % (self.hidden, self.shown)
        return self.document.file(b"/OCProperties << /OCGs %s /D << %s >> >>" % (groups, state))


def _marked(name: bytes, content: bytes) -> bytes:
    return b"/OC /%s BDC %s EMC\n" % (name, content)


def layer_off() -> bytes:
    """Text on a layer that is off."""
    return Layers().file(SEEN + _marked(b"Hidden", GHOST))


def layers_off_by_default() -> bytes:
    """All layers are off but for one."""
    layers = Layers()
    state = b"/BaseState /OFF /ON [ %d 0 R ]" % layers.shown
    return layers.file(_marked(b"Shown", SEEN) + _marked(b"Hidden", GHOST), configuration=state)


def membership_of_layers() -> bytes:
    """Text that is shown only if two layers are on."""
    layers = Layers()
    both = b"<< /Type /OCMD /P /AllOn /OCGs [ %d 0 R %d 0 R ] >>" % (layers.hidden, layers.shown)
    layers.properties += b" /Both %d 0 R" % layers.document.add(both)
    return layers.file(SEEN + _marked(b"Both", GHOST))


def expression_of_layers() -> bytes:
    """Text that is shown only if a layer is off that is on."""
    layers = Layers()
    number = layers.document.add(b"<< /Type /OCMD /VE [ /Not %d 0 R ] >>" % layers.shown)
    layers.properties += b" /Not %d 0 R" % number
    return layers.file(SEEN + _marked(b"Not", GHOST))


def layer_within_layer() -> bytes:
    """A layer that is on within one that is off, and within other marked content."""
    inner = _marked(b"Shown", b"/Span << /MCID 0 >> BDC %s EMC" % GHOST)
    return Layers().file(_marked(b"Shown", SEEN) + _marked(b"Hidden", inner))


def form_on_layer() -> bytes:
    """A form XObject that is on a layer itself."""
    layers = Layers()
    return layers.file(SEEN + b"/X Do\n", objects={"X": layers.form(GHOST, b"/OC %d 0 R" % layers.hidden)})


def form_in_layer() -> bytes:
    """A form XObject that is drawn on a layer."""
    layers = Layers()
    return layers.file(SEEN + _marked(b"Hidden", b"/X Do"), objects={"X": layers.form(GHOST)})


def layer_in_form() -> bytes:
    """A layer within a form XObject, beside text that is shown."""
    layers = Layers()
    content = SEEN + _marked(b"Hidden", GHOST)
    return layers.file(b"/X Do\n", objects={"X": layers.form(content)})


def layer_not_for_screens() -> bytes:
    """A layer whose usage says that it is not viewed."""
    layers = Layers(usage=b"/Usage << /View << /ViewState /OFF >> >>")
    event = b"<< /Event /View /Category [ /View ] /OCGs [ %d 0 R ] >>" % layers.hidden
    return layers.file(SEEN + _marked(b"Hidden", GHOST), configuration=b"/BaseState /ON /AS [ %s ]" % event)


def layers_in_one_place() -> bytes:
    """Two layers that print in the same place, of which one is off."""
    return Layers().file(_marked(b"Shown", SEEN) + _marked(b"Hidden", text_lines("DRAFTVOID 999.99")))


def invisible_ink() -> bytes:
    """Text that is drawn without paint on a page without an image."""
    return Layers().file(SEEN + b"q 3 Tr %s Q\n" % GHOST)


HIDDEN_TEXT: Sequence[Callable[[], bytes]] = (
    layer_off,
    layers_off_by_default,
    membership_of_layers,
    expression_of_layers,
    layer_within_layer,
    form_on_layer,
    form_in_layer,
    layer_in_form,
    layer_not_for_screens,
    layers_in_one_place,
    invisible_ink,
)


LINES = (
    "Riverbank Supplies Limited",
    "Invoice number INV-61001",
    "Delivered to the workshop in March",
    "Total amount due 642.80",
    "Please pay 642.80 within thirty days",
)


def claiming_pdf(claimed: Callable[[str], str], *, pages: int = 1, rotate: int = 0) -> bytes:
    """Pages whose font claims other characters than it draws."""
    document = PdfObjects()
    pairs = [(b"%02X" % code, claimed(chr(code))) for code in range(32, 127)]
    table = document.stream(_character_map(pairs, b"<00> <FF>"))
    font = b"/Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding"
    number = document.add(b"<< %s /ToUnicode %d 0 R >>" % (font, table))
    for _ in range(pages):
        resources = b"/Font << /F1 %d 0 R >>" % number
        document.page(text_lines(*LINES), resources=resources, entries=b"/Rotate %d" % rotate)
    return document.file()


def _character_map(pairs: Sequence[tuple[bytes, str]], codes: bytes) -> bytes:
    """Return the table that says which characters the codes of a font stand for."""
    table = b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def "
    table += b"/CMapType 2 def 1 begincodespacerange %s endcodespacerange\n" % codes
    for at in range(0, len(pairs), 90):
        block = [b"<%s> <%s>" % (code, _utf16(text)) for code, text in pairs[at : at + 90]]
        table += b"%d beginbfchar\n%s\nendbfchar\n" % (len(block), b"\n".join(block))
    return table + b"endcmap end end"


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be").hex().upper().encode()


def shifted(character: str) -> str:
    """The next letter or digit."""
    return chr(ord(character) + 1) if character.isalnum() else character


def digits_swapped(character: str) -> str:
    """The digits in another order."""
    return character.translate(str.maketrans("0123456789", "5678901234"))


def one_digit_for_two(character: str) -> str:
    """The digit 8 said to be a 6, like the 6."""
    return "6" if character == "8" else character


def private_use(character: str) -> str:
    """Characters that mean nothing."""
    return chr(0xE000 + ord(character)) if character.isdigit() else character


def nothing(character: str) -> str:
    """No character."""
    return "\0" if character.isdigit() else character


def vowels_moved(character: str) -> str:
    """Each vowel said to be the next one."""
    return character.translate(str.maketrans("aeiou", "eioua"))


def capitals_moved(character: str) -> str:
    """Capital letters half the alphabet further."""
    return chr((ord(character) - 65 + 13) % 26 + 65) if character.isupper() else character


def picture(lines: Sequence[str], *, size: int = 40, width: int = 800) -> Image.Image:
    """Black text on white."""
    image = Image.new("RGB", (width, int(size * 1.6) * len(lines) + 30), "white")
    pencil, font = ImageDraw.Draw(image), ImageFont.load_default(size=size)
    for number, line in enumerate(lines):
        pencil.text((20, 15 + number * int(size * 1.6)), line, fill="black", font=font)
    return image


def canvas_pdf(draw: Callable[[canvas.Canvas], None], *, pages: int = 1) -> bytes:
    """Pages that are drawn with reportlab."""
    output = io.BytesIO()
    drawing = canvas.Canvas(output, pagesize=PAGE, invariant=1)
    for _ in range(pages):
        draw(drawing)
        drawing.showPage()
    drawing.save()
    return output.getvalue()


def picture_on_layer(*, marked: bool) -> bytes:
    """A picture of text on a layer that is off: marked so in the content, or itself."""
    layers = Layers()
    image = picture(("DRAFTVOID 999.99",))
    entries = b"/Type /XObject /Subtype /Image /Width %d /Height %d" % image.size
    entries += b" /ColorSpace /DeviceRGB /BitsPerComponent 8"
    if not marked:
        entries += b" /OC %d 0 R" % layers.hidden
    number = layers.document.stream(image.tobytes(), entries)
    content = b"q 200 0 0 30 40 100 cm /X Do Q\n"
    return layers.file(SEEN + (_marked(b"Hidden", content) if marked else content), objects={"X": number})


def letterhead(drawing: canvas.Canvas, lines: Sequence[str] = ("Meadow Lane", "NO9386011117947")) -> None:
    """The issuer stands in a picture only, the rest is digital."""
    image = picture(lines)
    drawing.drawImage(ImageReader(image), 40, 220, 240, 240 * image.height / image.width)
    digital_part(drawing)


def picture_in_form(drawing: canvas.Canvas) -> None:
    """The picture is part of a form XObject, scaled and moved."""
    drawing.beginForm("head")
    drawing.drawImage(ImageReader(picture(("Meadow Lane", "NO9386011117947"))), 0, 0, 480, 95)
    drawing.endForm()
    drawing.translate(40, 220)
    drawing.scale(0.5, 0.6)
    drawing.doForm("head")
    drawing.scale(1 / 0.5, 1 / 0.6)
    drawing.translate(-40, -220)
    digital_part(drawing)


def picture_in_slices(drawing: canvas.Canvas) -> None:
    """The picture is cut into slices, none of which holds a whole line."""
    image = picture(("Meadow Lane", "NO9386011117947"))
    scale = 240 / image.width
    for top in range(0, image.height, 10):
        piece = image.crop((0, top, image.width, min(top + 10, image.height)))
        bottom = 285 - (top + piece.height) * scale
        drawing.drawImage(ImageReader(piece), 40, bottom, 240, piece.height * scale)
    digital_part(drawing)


def picture_as_mask(drawing: canvas.Canvas) -> None:
    """The picture is a stencil through which black is painted."""
    image = picture(("Meadow Lane", "NO9386011117947")).convert("L").point(lambda value: 255 - value)
    stencil = Image.new("RGBA", image.size, "black")
    stencil.putalpha(image)
    drawing.drawImage(ImageReader(stencil), 40, 220, 240, 48, mask="auto")
    digital_part(drawing)


def picture_inline(drawing: canvas.Canvas) -> None:
    """The picture stands in the content itself."""
    drawing.drawInlineImage(picture(("Meadow Lane", "NO9386011117947")), 40, 220, 240, 48)
    digital_part(drawing)


def outlined_letters(drawing: canvas.Canvas) -> None:
    """The issuer is drawn as outlines of letters, without a font."""
    document = pypdfium2.PdfDocument.new()
    font = pdfium.FPDFText_LoadStandardFont(document, b"Helvetica")
    x, y, width = ctypes.c_float(), ctypes.c_float(), ctypes.c_float()
    at = 40.0
    for letter in "MEADOW 92-417":
        path = drawing.beginPath()
        glyph = pdfium.FPDFFont_GetGlyphPath(font, ord(letter), 1.0)
        pending = []
        for position in range(pdfium.FPDFGlyphPath_CountGlyphSegments(glyph)):
            segment = pdfium.FPDFGlyphPath_GetGlyphPathSegment(glyph, position)
            pdfium.FPDFPathSegment_GetPoint(segment, x, y)
            pending += [at + 24 * x.value, 240 + 24 * y.value]
            kind = pdfium.FPDFPathSegment_GetType(segment)
            if kind == pdfium.FPDF_SEGMENT_MOVETO:
                path.moveTo(*pending)
            elif kind == pdfium.FPDF_SEGMENT_LINETO:
                path.lineTo(*pending)
            elif len(pending) == 6:
                path.curveTo(*pending)
            else:
                continue
            pending = []
        drawing.drawPath(path, stroke=0, fill=1, fillMode=0)
        pdfium.FPDFFont_GetGlyphWidth(font, ord(letter), 24.0, width)
        at += width.value
    pdfium.FPDFFont_Close(font)
    document.close()
    digital_part(drawing)


def digital_part(drawing: canvas.Canvas) -> None:
    """Text of the text layer."""
    drawing.setFont("Helvetica", 12)
    for number, line in enumerate(("Invoice INV-62001", "Consulting 2 320.00", "Total due 320.00")):
        drawing.drawString(40, 160 - 24 * number, line)


def scan_with_text_layer(lines: Sequence[str], layer: Sequence[str], *, beneath: bool = False) -> bytes:
    """A scan whose text layer was made by a recogniser: without paint, or beneath the image."""
    image = picture(lines)

    def draw(drawing: canvas.Canvas) -> None:
        if not beneath:
            drawing.drawImage(ImageReader(image), 0, 0, PAGE[0], PAGE[1])
        for number, line in enumerate(layer):
            text = drawing.beginText()
            text.setFont("Helvetica", 20)
            text.setTextRenderMode(0 if beneath else 3)
            top = (15 + number * 64 + 44) / image.height
            text.setTextOrigin(10, PAGE[1] * (1 - top))
            text.textOut(line)
            drawing.drawText(text)
        if beneath:
            drawing.drawImage(ImageReader(image), 0, 0, PAGE[0], PAGE[1])

    return canvas_pdf(draw)


def dynamic_form(*, needs_rendering: bool = True, fields: bool = False, pages: int = 1) -> bytes:
    """A page that stands for a form which only programs for its template can show."""
    document = PdfObjects()
    template = document.stream(b'<xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/"><template/></xdp:xdp>')
    number = document.add(field("total", "/FT /Tx /F 4 /V (120.00) /DA (/F1 11 Tf 0 g)", 200, 150))
    for _ in range(pages):
        content = text_lines("Vennligst vent ...", "Denne meldingen erstattes av dokumentet.")
        document.page(content, annotations=[number] if fields else [])
    listed = b"%d 0 R" % number if fields else b""
    form = b"/AcroForm << /Fields [ %s ] /XFA %d 0 R /DR << /Font << /F1 3 0 R >> >> >>" % (listed, template)
    return document.file(form + (b" /NeedsRendering true" if needs_rendering else b""))


def glyph_numbers_pdf(claimed: Callable[[str], str] | None) -> bytes:
    """A page whose text is numbers of glyphs in an embedded font, with or without a table of characters."""
    document = PdfObjects()
    face = TTFont("Vera", "Vera.ttf").face
    widths = b" ".join(b"%d [ %d ]" % (glyph, face.charWidths[code]) for code, glyph in _glyphs(face))
    program = document.stream(face._ttf_data)
    metrics = b"/Flags 4 /FontBBox [ -200 -250 1300 950 ] /ItalicAngle 0 /Ascent 900 /Descent -240 /StemV 80"
    named = b"/FontName /AAAAAA+Vera /CapHeight 730"
    descriptor = document.add(
        b"<< /Type /FontDescriptor %s %s /FontFile2 %d 0 R >>" % (named, metrics, program)
    )
    system = b"/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
    below = b"/Type /Font /Subtype /CIDFontType2 /BaseFont /AAAAAA+Vera /CIDToGIDMap /Identity"
    below += b" /FontDescriptor %d 0 R /W [ %s ] %s" % (descriptor, widths, system)
    entries = b"/Type /Font /Subtype /Type0 /BaseFont /AAAAAA+Vera /Encoding /Identity-H"
    entries += b" /DescendantFonts [ %d 0 R ]" % document.add(b"<< %s >>" % below)
    if claimed is not None:
        pairs = [(b"%04X" % glyph, claimed(chr(code))) for code, glyph in _glyphs(face)]
        entries += b" /ToUnicode %d 0 R" % document.stream(_character_map(pairs, b"<0000> <FFFF>"))
    font = document.add(b"<< %s >>" % entries)
    shown = [b"<%s> Tj T*" % b"".join(b"%04X" % face.charToGlyph[ord(one)] for one in line) for line in LINES]
    content = b"BT /F1 12 Tf 20 TL 40 250 Td %s ET" % b" ".join(shown)
    document.page(content, resources=b"/Font << /F1 %d 0 R >>" % font)
    return document.file()


def _glyphs(face: TTFontFace) -> list[tuple[int, int]]:
    return [(code, face.charToGlyph[code]) for code in range(32, 127)]
