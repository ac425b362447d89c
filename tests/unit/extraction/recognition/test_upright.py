"""Pages are turned upright by what is printed on them, and only on clear evidence."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pagemill.extraction.recognition.orientation_model import OrientationModel
from pagemill.extraction.recognition.upright import UprightDetector, line_crops, quarter_turned
from pagemill.rotation import ROTATIONS, Rotation
from tests.unit.extraction.documents import letter_image

Pixels = NDArray[np.uint8]
NEEDED: dict[Rotation, Rotation] = {0: 0, 90: 270, 180: 180, 270: 90}
UNDECIDED = (0.25, 0.25, 0.25, 0.25)


@pytest.fixture(scope="module")
def detector() -> Iterator[UprightDetector]:
    return UprightDetector()


def pixels_of(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))


def turned_letter(rotation: Rotation, skew: float = 0.0) -> Pixels:
    page = letter_image().rotate(-skew, expand=True, resample=Image.Resampling.BICUBIC, fillcolor="white")
    return quarter_turned(pixels_of(page), rotation)


class DoubtfulModel:
    """Stands for the model: what it says does not depend on the page."""

    def __init__(self, probabilities: Sequence[float]) -> None:
        self._probabilities = np.array(probabilities)

    def probabilities(self, views: Sequence[Pixels]) -> NDArray[np.float64]:
        return self._probabilities


class UprightInkReader:
    """Stands for recognition: it reads lines that begin with a full block."""

    def __init__(
        self, legible: float = 0.95, illegible: float = 0.4, text: str = "twenty letters here"
    ) -> None:
        self.crops_read = 0
        self._legible, self._illegible, self._text = legible, illegible, text

    def __call__(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        self.crops_read += len(crops)
        return [(self._text, self._legible if begins_with_block(crop) else self._illegible) for crop in crops]


def begins_with_block(crop: Pixels) -> bool:
    height = crop.shape[0]
    ink = crop[:, :, 0] < 128
    return bool(crop.shape[1] > height and ink[:, :height].mean() > ink[:, -height:].mean() + 0.1)


def marked() -> Pixels:
    """Lines of short strokes that begin with a block: which way they run is seen at their ends only."""
    page = Image.new("RGB", (700, 700), "white")
    pencil = ImageDraw.Draw(page)
    for y in range(60, 640, 48):
        pencil.rectangle((60, y, 78, y + 16), fill="black")
        for x in range(84, 280, 12):
            pencil.rectangle((x, y + 4, x + 3, y + 12), fill="black")
    return pixels_of(page)


def doubtful(reader: UprightInkReader | None, probabilities: Sequence[float] = UNDECIDED) -> UprightDetector:
    detector = UprightDetector(reader)
    detector._model = DoubtfulModel(probabilities)  # type: ignore[assignment]
    return detector


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("skew", [0.0, -6.0, 3.0])
def test_the_turn_and_the_skew_of_a_page(detector: UprightDetector, rotation: Rotation, skew: float) -> None:
    pose = detector.pose(turned_letter(rotation, skew))
    assert pose.rotation == NEEDED[rotation]
    assert pose.skew == pytest.approx(skew, abs=0.2)


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_an_upright_page_shows_what_the_page_was_before(
    detector: UprightDetector, rotation: Rotation
) -> None:
    page = detector.upright(turned_letter(rotation))
    assert np.array_equal(page.pixels, pixels_of(letter_image()))
    assert (page.rotation, page.skew, page.width, page.height) == (NEEDED[rotation], 0.0, 850, 1100)


def test_a_skew_of_less_than_half_a_degree_changes_no_pixel(detector: UprightDetector) -> None:
    skewed = turned_letter(0, 0.4)
    assert np.array_equal(detector.upright(skewed).pixels, skewed)


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_long_receipts_are_turned(detector: UprightDetector, rotation: Rotation) -> None:
    strip = pixels_of(letter_image(lines=110, size=(850, 4100)))
    assert detector.rotation(quarter_turned(strip, rotation)) == NEEDED[rotation]


@pytest.mark.parametrize("size", [(60_000, 200), (200, 60_000)])
def test_an_endless_strip_costs_no_more_memory_than_it_has(
    detector: UprightDetector, size: tuple[int, int]
) -> None:
    strip = np.full((*size, 3), 255, np.uint8)
    strip[::7, ::5] = 0
    page = detector.upright(strip)
    assert page.skew == 0
    assert page.pixels.size == strip.size


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_text_in_a_corner_of_a_page_is_enough(detector: UprightDetector, rotation: Rotation) -> None:
    page = pixels_of(letter_image(lines=12, size=(1700, 2200)))
    assert detector.rotation(quarter_turned(page, rotation)) == NEEDED[rotation]


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_light_text_on_dark_paper_stays_or_is_turned_rightly(
    detector: UprightDetector, rotation: Rotation
) -> None:
    dark = 255 - turned_letter(rotation)
    assert detector.rotation(dark.astype(np.uint8)) in (0, NEEDED[rotation])


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000), (15, 400), (600, 800)])
def test_a_page_without_text_stays(size: tuple[int, int]) -> None:
    reader = UprightInkReader()
    pose = UprightDetector(reader).pose(pixels_of(Image.new("RGB", size, "white")))
    assert (pose.rotation, pose.skew, reader.crops_read) == (0, 0.0, 0)


@pytest.mark.parametrize("seed", range(12))
def test_a_picture_without_text_stays(seed: int) -> None:
    """Neither the model nor recognition sees a reason: what is read in noise is not legible."""
    generator = np.random.default_rng(seed)
    photo = Image.new("RGB", (800, 600), "gray")
    pencil = ImageDraw.Draw(photo)
    for x, y, wide, high, shade in generator.integers(0, (800, 600, 60, 60, 255), (400, 5)).tolist():
        pencil.ellipse((x, y, x + wide, y + high), fill=(shade, 255 - shade, shade))
    assert UprightDetector(UprightInkReader(legible=0.45, illegible=0.3)).rotation(pixels_of(photo)) == 0


def test_one_word_stays() -> None:
    page = Image.new("RGB", (400, 400), "white")
    ImageDraw.Draw(page).text((150, 180), "Hello", fill="black", font=ImageFont.load_default(size=30))
    reader = UprightInkReader()
    assert UprightDetector(reader).rotation(quarter_turned(pixels_of(page), 90)) == 0
    assert reader.crops_read == 0


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_in_doubt_lines_are_read_in_each_direction(rotation: Rotation) -> None:
    reader = UprightInkReader()
    assert doubtful(reader).rotation(quarter_turned(marked(), rotation)) == NEEDED[rotation]
    assert reader.crops_read == 12


def test_directions_that_the_model_excludes_are_not_read() -> None:
    reader = UprightInkReader()
    detector = doubtful(reader, (0.55, 0.03, 0.4, 0.02))
    assert detector.rotation(quarter_turned(marked(), 90)) == 0
    assert reader.crops_read == 0
    assert detector.rotation(quarter_turned(marked(), 180)) == 180
    assert reader.crops_read == 12


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("legible", [0.42, 0.44])
def test_a_page_that_reads_badly_in_each_direction_stays(rotation: Rotation, legible: float) -> None:
    detector = doubtful(UprightInkReader(legible=legible, illegible=0.4))
    assert detector.rotation(quarter_turned(marked(), rotation)) == 0


def test_a_small_advantage_turns_no_page() -> None:
    detector = doubtful(UprightInkReader(legible=0.93, illegible=0.9))
    assert detector.rotation(quarter_turned(marked(), 180)) == 0


def test_a_few_letters_turn_no_page() -> None:
    detector = doubtful(UprightInkReader(text="i"))
    assert detector.rotation(quarter_turned(marked(), 180)) == 0


@pytest.mark.parametrize(
    ("probabilities", "read"),
    [((0.65, 0.05, 0.25, 0.05), False), ((0.05, 0.05, 0.83, 0.07), True), ((0.04, 0.02, 0.9, 0.04), False)],
    ids=["rather upright", "rather turned", "clearly turned"],
)
def test_a_turn_needs_more_than_an_upright_page(probabilities: Sequence[float], read: bool) -> None:
    reader = UprightInkReader()
    doubtful(reader, probabilities).rotation(marked())
    assert (reader.crops_read > 0) is read


def test_without_recognition_a_doubtful_page_stays() -> None:
    assert doubtful(None, (0.1, 0.1, 0.7, 0.1)).rotation(turned_letter(180)) == 0


def test_line_crops_are_parts_of_the_longest_lines() -> None:
    crops = line_crops(pixels_of(letter_image()))
    assert len(crops) == 6
    for crop in crops:
        height, width = crop.shape[:2]
        assert 15 <= height <= 40
        assert 8 * height <= width <= 13 * height
        assert 0.03 < (crop[:, :, 0] < 128).mean() < 0.4


@pytest.mark.parametrize("scale", [0.7, 3])
def test_line_crops_have_the_resolution_of_the_page(scale: float) -> None:
    letter = letter_image()
    scaled = letter.resize((round(letter.width * scale), round(letter.height * scale)))
    heights = [crop.shape[0] for crop in line_crops(pixels_of(scaled))]
    assert np.median(heights) == pytest.approx(26 * scale, rel=0.35)


def test_the_model_says_by_how_much_a_page_is_turned() -> None:
    model = OrientationModel()
    square = np.ascontiguousarray(pixels_of(letter_image())[150:850, 60:760, 0])
    for rotation in ROTATIONS:
        probabilities = model.probabilities([quarter_turned(square, rotation)])
        assert probabilities.sum() == pytest.approx(1)
        assert ROTATIONS[int(probabilities.argmax())] == rotation


def test_several_views_weigh_the_same() -> None:
    model = OrientationModel()
    square = np.ascontiguousarray(pixels_of(letter_image())[150:850, 60:760, 0])
    upside_down = quarter_turned(square, 180)
    both = model.probabilities([square, upside_down])
    assert both == pytest.approx(model.probabilities([upside_down, square]))
    assert both[0] < model.probabilities([square])[0]


def test_threads_share_a_detector_and_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    loaded: list[int] = []
    session = onnxruntime.InferenceSession

    def counted(*arguments: object, **options: object) -> object:
        loaded.append(threading.get_ident())
        return session(*arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", counted)
    shared = UprightDetector()
    pages = [turned_letter(rotation) for rotation in ROTATIONS] * 3
    assert loaded == []
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(shared.rotation, pages))
    assert found == [NEEDED[rotation] for rotation in ROTATIONS] * 3
    assert len(loaded) == 1
