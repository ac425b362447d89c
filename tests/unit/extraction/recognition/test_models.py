"""The recogniser is cut in two without changing what it says."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from pagemill.extraction.recognition import models
from pagemill.extraction.recognition.crops import to_height
from pagemill.extraction.recognition.detector import to_input
from pagemill.extraction.recognition.device import processor
from pagemill.extraction.recognition.models import FIRST_IDEOGRAPH, INPUT, line_models, open_session
from tests.unit.extraction.recognition.drawn import drawn_line

DEVICE = processor(1)


@pytest.fixture(scope="module")
def uncut() -> onnxruntime.InferenceSession:
    return open_session((models._folder() / models.RECOGNISER).read_bytes(), DEVICE)


@pytest.mark.parametrize("text", ["Invoice 2024-0917", "TOTAL 1,234.56", "ÆØÅ äöüß"])
def test_both_parts_say_what_the_whole_says(uncut: onnxruntime.InferenceSession, text: str) -> None:
    values = to_input(to_height(drawn_line(text)))[None]
    (whole,) = uncut.run(None, {INPUT: values})
    features, indexes, _ = open_session(line_models().alphabetic, DEVICE).run(None, {INPUT: values})
    complete, likely = open_session(line_models().complete, DEVICE).run(
        None, {line_models().features: features}
    )
    np.testing.assert_array_equal(complete, whole.argmax(axis=2))
    np.testing.assert_allclose(likely, whole.max(axis=2), rtol=1e-4)
    characters = line_models().complete_characters
    expected = [characters[index] for index in whole.argmax(axis=2)[0]]
    assert [line_models().alphabetic_characters[index] for index in indexes[0]] == expected


def test_the_alphabetic_part_knows_every_character_that_is_no_ideograph() -> None:
    complete, alphabetic = line_models().complete_characters, line_models().alphabetic_characters
    assert set(alphabetic) == {
        one for one in complete if len(one) < 2 and (not one or ord(one) < FIRST_IDEOGRAPH)
    }
    assert {"A", "z", "0", "€", "é", " "} < set(alphabetic)
    assert len(complete) > 10 * len(alphabetic)
    assert alphabetic[0] == complete[0] == ""
