"""The fork server of the reader holds what parsing needs, and nothing heavier."""

from __future__ import annotations

import subprocess
import sys

import psutil

from pagemill.extraction.reading import PageReader
from pagemill.extraction.types import ReadOptions
from tests.unit.extraction import documents

NEEDED = {"pypdfium2", "PIL", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.TiffImagePlugin"}
HEAVY = {"cv2", "onnxruntime", "rapidocr", "torch", "ray", "scipy", "shapely"}


def test_it_imports_the_parsers_and_nothing_heavier() -> None:
    script = (
        "import sys; import pagemill.extraction.reading.zygote;"
        f"print(*sorted({NEEDED | HEAVY!r} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) == NEEDED


def test_it_stays_small_and_has_one_thread() -> None:
    with PageReader() as reader:
        reader.inspect(documents.text_pdf())
        server = psutil.Process(reader.fork_server_process_id)
        reader.read(
            documents.encoded(documents.receipt_image().resize((2000, 2000)), "PNG"), [], ReadOptions()
        )
        assert server.num_threads() == 1
        assert server.memory_info().rss < 150 * 1024 * 1024
