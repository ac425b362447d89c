"""References of container images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.errors import BadRequest
from pagemill.settings import SettingsError
from pagemill.workflows.image_references import (
    checked_image_reference,
    is_image_reference,
    read_image_replacements,
    replaced_image,
)

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    "reference",
    [
        "python",
        "python3.8",
        "python:3.11-slim",
        "lucidtechai/preprocess:v2.3.0",
        "docker.io/lucidtechai/postprocess",
        "localhost/image",
        "localhost:5000/a/b__c/d--e:Tag_1.2",
        "REGISTRY/image",
        "127.0.0.1:5000/image",
        f"image@{DIGEST}",
        f"registry.example.com:443/image:latest@{DIGEST}",
        "a" * 255,
    ],
)
def test_valid_references(reference: str) -> None:
    assert checked_image_reference(reference, "imageUrl") == reference


@pytest.mark.parametrize(
    "reference",
    [
        "",
        " ",
        "image ",
        "image\n",
        "Image",
        "a/Image",
        "a//b",
        "/image",
        "image/",
        "image:",
        ":tag",
        "registry.example.com/",
        "registry.example.com:/image",
        "registry.example.com:port/image",
        "https://registry.example.com/image",
        "-a.example.com/image",
        "image:a b",
        f"image:{'t' * 129}",
        "image@",
        "image@sha256:0a",
        f"@{DIGEST}",
        "a..b",
        "a_/b",
        "a" * 256,
        "a/" * 300 + "a",
        "é",
    ],
)
def test_invalid_references(reference: str) -> None:
    with pytest.raises(BadRequest, match=r"parameters\.imageUrl"):
        checked_image_reference(reference, "parameters.imageUrl")


@given(st.text(alphabet="aA0.-_:/@ \n", max_size=600))
def test_any_text_is_valid_or_refused(reference: str) -> None:
    if is_image_reference(reference):
        assert reference == reference.strip()
        assert "//" not in reference


REPLACEMENTS = (
    "lucidtechai/preprocess=localhost/pagemill-preprocess:0.1.0, python:3.11=registry.example.com:443/python"
)


@pytest.mark.parametrize(
    ("reference", "image"),
    [
        ("lucidtechai/preprocess:v2.3.0", "localhost/pagemill-preprocess:0.1.0"),
        ("docker.io/lucidtechai/preprocess", "localhost/pagemill-preprocess:0.1.0"),
        (f"lucidtechai/preprocess@{DIGEST}", "localhost/pagemill-preprocess:0.1.0"),
        ("docker.io/library/python:3.11", "registry.example.com:443/python"),
        ("python:3.12", "python:3.12"),
        ("localhost:5000/lucidtechai/preprocess", "localhost:5000/lucidtechai/preprocess"),
        ("lucidtechai/preprocess2:v1", "lucidtechai/preprocess2:v1"),
    ],
)
def test_an_image_is_replaced_by_its_name(reference: str, image: str) -> None:
    assert replaced_image(reference, read_image_replacements(REPLACEMENTS)) == image
    assert replaced_image(reference, read_image_replacements("")) == reference


@pytest.mark.parametrize("setting", ["python", "python=", "=python", "a b=c", "a=b;c=d"])
def test_a_replacement_that_cannot_be_read_is_named(setting: str) -> None:
    with pytest.raises(SettingsError, match="PAGEMILL_STEP_IMAGES"):
        read_image_replacements(setting)
