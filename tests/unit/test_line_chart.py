"""Charts are files that programs can open, and show what they were given."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
from PIL import Image

from pagemill.line_chart import PANEL_HEIGHT, WIDTH, Panel, draw_chart

SVG = "{http://www.w3.org/2000/svg}"
LOSS = Panel("loss <of training>", [(0, 4.0), (10, 2.0), (20, 1.0)], "#b03060")
F1 = Panel("F1", [(10, 0.5)], "#1f6fb4")


def lines_of(svg: bytes, colour: str) -> list[list[tuple[float, float]]]:
    drawn = ElementTree.fromstring(svg).iter(f"{SVG}polyline")
    return [
        [(float(x), float(y)) for x, y in (point.split(",") for point in one.attrib["points"].split())]
        for one in drawn
        if one.attrib["stroke"] == colour
    ]


def test_higher_values_stand_higher_and_later_ones_to_the_right() -> None:
    ((first, second, third),) = lines_of(draw_chart([LOSS], "steps", ".svg"), LOSS.colour)
    assert first[0] < second[0] < third[0]
    assert first[1] < second[1] < third[1] < PANEL_HEIGHT
    assert second[0] - first[0] == pytest.approx(third[0] - second[0], abs=0.2)
    assert second[1] - first[1] == pytest.approx(2 * (third[1] - second[1]), abs=0.2)


def test_texts_are_those_given() -> None:
    texts = [
        one.text for one in ElementTree.fromstring(draw_chart([LOSS, F1], "steps", ".svg")).iter(f"{SVG}text")
    ]
    assert {"loss <of training>", "F1", "steps", "0", "20", "4"} <= set(texts)


@pytest.mark.parametrize(("panels", "height"), [([LOSS, F1], 2), ([LOSS, Panel("F1", [], "#000000")], 1)])
def test_panels_without_points_are_left_out(panels: list[Panel], height: int) -> None:
    with Image.open(io.BytesIO(draw_chart(panels, "steps", ".png"))) as image:
        assert image.size == (WIDTH, height * PANEL_HEIGHT)
        colours = {colour for _, colour in image.getcolors(1 << 16) or []}
    assert (0xB0, 0x30, 0x60) in colours
    assert ((0x1F, 0x6F, 0xB4) in colours) == (height == 2)


def test_an_empty_chart_is_a_file_too() -> None:
    assert draw_chart([], "steps", ".svg").startswith(b"<svg ")
