"""``preprocessConfig``: which pages are read and how. ``postprocessConfig``: which candidates return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pagemill.api.http.schemas import RequestStruct
from pagemill.errors import BadRequest
from pagemill.rotation import Rotation

# No document has so many pages: the bound keeps integers small enough to store and compute with.
PageIndex: TypeAlias = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
MaxPages: TypeAlias = Annotated[int, Meta(ge=1, le=100)]
ImageQuality: TypeAlias = Literal["LOW", "HIGH"]
OutputFormat: TypeAlias = Literal["v1", "v2"]

PREPROCESS_DEFAULTS: Mapping[str, object] = {"imageQuality": "LOW", "autoRotate": False, "maxPages": 1}
POSTPROCESS_DEFAULT: Mapping[str, object] = {"strategy": "BEST_FIRST"}
PAGE_RANGE = ("maxPages", "startPage")


class PreprocessConfig(RequestStruct):
    """Choice of pages and how to read them; members that are left out come from the model or the defaults."""

    auto_rotate: bool | UnsetType = UNSET
    image_quality: ImageQuality | UnsetType = UNSET
    max_pages: MaxPages | UnsetType = UNSET
    pages: Annotated[list[PageIndex], Meta(max_length=100)] | UnsetType = UNSET
    rotation: Rotation | UnsetType = UNSET
    start_page: PageIndex | UnsetType = UNSET


class BestFirst(RequestStruct, tag_field="strategy", tag="BEST_FIRST"):
    """The surest value of each field over all pages, and the rows of all pages."""

    output_format: OutputFormat | UnsetType = UNSET


class BestPagesParameters(msgspec.Struct, kw_only=True):
    """Parameters of ``BEST_N_PAGES``; other keys are allowed and dropped."""

    n: Annotated[int, Meta(ge=1, le=100)]
    collapse: bool | UnsetType = UNSET


class BestPages(RequestStruct, tag_field="strategy", tag="BEST_N_PAGES"):
    """Values and rows of the ``n`` pages with the surest values, page by page.

    ``collapse`` keeps the surest value of each field, and all rows together.
    """

    parameters: BestPagesParameters
    output_format: OutputFormat | UnsetType = UNSET


PostprocessConfig: TypeAlias = BestFirst | BestPages


def members(config: msgspec.Struct | UnsetType) -> dict[str, object]:
    """Return the members that were sent, by the API's names."""
    return {} if config is UNSET else cast("dict[str, object]", msgspec.to_builtins(config))


def sent_preprocess_config(
    config: PreprocessConfig | UnsetType, name: str = "preprocessConfig"
) -> dict[str, object]:
    """Return the members that were sent. Raises BadRequest for an object without members."""
    sent = members(config)
    if config is not UNSET and not sent:
        raise BadRequest(f"{name}: at least one member is required")
    return sent


def model_preprocess_config(config: PreprocessConfig | UnsetType) -> dict[str, object]:
    """Return the preprocessConfig of a model: the members that were sent, else the defaults."""
    return {**PREPROCESS_DEFAULTS, **sent_preprocess_config(config)}


def model_postprocess_config(config: PostprocessConfig | UnsetType) -> dict[str, object]:
    """Return the postprocessConfig of a model: the object that was sent, else the default."""
    return members(config) or dict(POSTPROCESS_DEFAULT)


def effective_preprocess_config(*layers: Mapping[str, object]) -> dict[str, object]:
    """Return the preprocessConfig of a prediction: each member of the first layer with it, or the default.

    ``pages`` and a range of pages exclude each other: the first layer that chooses pages decides between
    them; in one layer ``pages`` is used.
    """
    effective: dict[str, object] = {}
    for layer in (*layers, PREPROCESS_DEFAULTS):
        for member, value in layer.items():
            if not _excluded(member, layer, effective):
                effective.setdefault(member, value)
    if "pages" not in effective:
        effective.setdefault("startPage", 0)
    return effective


def _excluded(member: str, layer: Mapping[str, object], effective: Mapping[str, object]) -> bool:
    """Return whether pages are already chosen in the other way than this member's."""
    if member == "pages":
        return any(chosen in effective for chosen in PAGE_RANGE)
    return member in PAGE_RANGE and ("pages" in effective or "pages" in layer)
