"""Pages in several scripts, drawn with fonts of the system; fonts and Tesseract's data may be missing."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pagemill.extraction.recognition.tesseract_program import TesseractProgram, find_program

FONTS = Path("/usr/share/fonts/truetype")
FONT = {
    "Hangul": FONTS / "nanum/NanumGothic.ttf",
    "Thai": FONTS / "tlwg/Garuda.ttf",
    "Devanagari": FONTS / "lohit-devanagari/Lohit-Devanagari.ttf",
    "Hebrew": FONTS / "dejavu/DejaVuSans-Bold.ttf",
}
DEJAVU = FONTS / "dejavu/DejaVuSans.ttf"
RIGHT_TO_LEFT = ("Arabic", "Hebrew")
LINES = {
    "Latin": ["Alder Street Books Ltd", "Invoice number INV-61001", "Total amount due 1234.56", "Two boxes"],
    "Cyrillic": [
        "Общество Северный ветер",
        "Счёт на оплату 61001",
        "Итого к оплате 1234.56",
        "Бумага офисная",
    ],
    "Greek": [
        "Ανώνυμη Εταιρεία Εμπορίου",
        "Τιμολόγιο αριθμός 61001",
        "Σύνολο πληρωμής 1234.56",
        "Δύο κουτιά",
    ],
    "Arabic": ["وزارة المالية", "فاتورة رقم 61001", "التاريخ 17.09.2024", "شركة التجارة العامة"],
    "Hebrew": ["חברת הספרים", "חשבונית מספר 61001", "סכום לתשלום 1234.56", "משלוח לבית הספר"],
    "Hangul": ["한국 무역", "날짜 17.09.2024", "합계 금액 1234.56", "종이 두 상자"],
    "Thai": ["บริษัท การค้า", "ใบแจ้งหนี้ 61001", "วันที่ 17.09.2024", "จัดส่งไปยังโรงเรียน"],
    "Devanagari": ["भारतीय व्यापार कंपनी", "बिल संख्या 61001", "कुल राशि 1234.56", "विद्यालय को वितरण"],
}


@cache
def installed() -> TesseractProgram | None:
    return find_program()


def needs(*scripts: str) -> None:
    """Skip the test, with what to install, where Tesseract, its data or a font is missing."""
    program = installed()
    if program is None:
        pytest.skip("needs the program tesseract (Debian: tesseract-ocr)")
    for script in scripts:
        if script not in program.data:
            pytest.skip(f"needs Tesseract's data for {script}")
        needs_font(script)


def needs_font(script: str) -> None:
    font = FONT.get(script, DEJAVU)
    if not font.exists():
        pytest.skip(f"needs the font {font}")


def draw_page(script: str, *, size: int = 34, picture: tuple[int, int] = (1000, 700)) -> NDArray[np.uint8]:
    """Return RGB pixels with the lines of a script."""
    needs_font(script)
    image = Image.new("RGB", picture, "white")
    drawing, font = ImageDraw.Draw(image), ImageFont.truetype(FONT.get(script, DEJAVU), size)
    for number, line in enumerate(LINES[script]):
        top = 80 + number * 2.6 * size
        if script in RIGHT_TO_LEFT:
            at = (picture[0] - 80, top)
            drawing.text(at, line, font=font, fill="black", anchor="ra", direction="rtl")
        else:
            drawing.text((80, top), line, font=font, fill="black")
    return np.asarray(image)


def printed_words(script: str) -> list[str]:
    return [word for line in LINES[script] for word in line.split()]


def fake_program(directory: Path, body: str) -> Path:
    """Write a shell script that stands for the program; ``body`` is run for pictures, not for the listing."""
    shell = shutil.which("sh")
    program = directory / "tesseract"
    program.write_text(
        f"#!{shell}\n"
        f'if [ "$1" = --list-langs ]; then printf "List:\\nCyrillic\\neng\\nosd\\n"; exit 0; fi\n{body}\n'
    )
    program.chmod(0o755)
    subprocess.run([program, "--list-langs"], check=True, capture_output=True)
    return program
