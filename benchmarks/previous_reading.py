"""Reading of scans as it was before recognition left the child process: the other side of the benchmark.

It stays as it was: rapidocr's own pipeline with a thread, the longest side limited to 1600 pixels, and boxes
of words.
"""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pypdfium2
from PIL import Image, ImageOps
from rapidocr import RapidOCR

LONGEST_SIDE = 1600
DOTS_PER_POINT = 150 / 72
PARAMETERS = {
    "Global.use_cls": False,
    "Global.log_level": "critical",
    "Global.max_side_len": 2200,
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}


class PreviousReading:
    """Reader of the first page of scanned documents."""

    def __init__(self) -> None:
        cv2.setNumThreads(1)
        self._engine = RapidOCR(params=PARAMETERS)

    def words(self, path: Path) -> list[str]:
        """Return the words of the first page: what stands between the spaces of each line."""
        found: Any = self._engine(
            np.ascontiguousarray(page_pixels(path.read_bytes())[:, :, ::-1]),
            use_det=True,
            use_rec=True,
            return_word_box=True,
            return_single_char_box=True,
        )
        return [word for line in found.txts or () for word in line.split()]

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of this process, which does all of the work."""
        return time.process_time()


def first_page(content: bytes, dots_per_point: float, *, longest_side: float = LONGEST_SIDE) -> Image.Image:
    """Return the first page as a picture; the bounds are those of a rendered PDF.

    Only for documents that are trusted.
    """
    if not content.startswith(b"%PDF"):
        return ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    with pypdfium2.PdfDocument(content) as document:
        page = document[0]
        scale = min(dots_per_point, longest_side / max(page.get_size()))
        image: Image.Image = page.render(scale=scale, may_draw_forms=False).to_pil()
        return image.convert("RGB")


def page_pixels(content: bytes) -> np.ndarray:
    """Return the first page in the resolution that it is recognised in, as RGB."""
    image = first_page(content, DOTS_PER_POINT)
    scale = min(1.0, LONGEST_SIDE / max(image.size))
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.asarray(image)
