"""Validation of a model's ``fieldConfig``: label -> scalar field, or ``lines`` with scalar columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec

from pagemill.errors import BadRequest

MAXIMUM_LABELS = 1000
MAXIMUM_TEXT = 4096
MAXIMUM_BYTES = 1024 * 1024
LABEL = re.compile(r"[0-9A-Za-z\-_]{1,36}")
ENUM_VALUE = r"""^[0-9A-Za-zÆØÅæøå!"#$%&()*+,\-./:;<=>?@\[\]\^_`{|}~ ]+\Z"""

FieldConfig: TypeAlias = dict[str, Any]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAXIMUM_TEXT)]
EnumValue: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=512, pattern=ENUM_VALUE)]
Definition = TypeVar("Definition", bound=msgspec.Struct)


class ScalarField(msgspec.Struct, rename="camel", kw_only=True):
    """Definition of a scalar field; other keys are allowed and kept."""

    type: Literal["amount", "date", "digits", "enum", "numeric", "string"]
    max_length: Annotated[int, msgspec.Meta(ge=1, le=1024)] | msgspec.UnsetType = msgspec.UNSET
    enum: Annotated[list[EnumValue], msgspec.Meta(min_length=1, max_length=500)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    description: Text | None = None
    format: Text | None = None
    is_multivalue: bool = False
    strict: bool = False


class LinesField(msgspec.Struct, kw_only=True):
    """Definition of a ``lines`` field: columns by name, one level deep."""

    type: Literal["lines"]
    fields: dict[str, Any]


def checked_field_config(field_config: FieldConfig) -> FieldConfig:
    """Return the same fieldConfig. Raises BadRequest, which names the label and the member that is wrong."""
    if len(msgspec.json.encode(field_config)) > MAXIMUM_BYTES:
        raise BadRequest(f"fieldConfig: must not be larger than {MAXIMUM_BYTES} bytes")
    _check_labels(field_config, "fieldConfig")
    for label, definition in field_config.items():
        where = f"fieldConfig.{label}"
        if isinstance(definition, Mapping) and definition.get("type") == "lines":
            columns = _converted(definition, LinesField, where).fields
            _check_labels(columns, f"{where}.fields")
            for column, column_definition in columns.items():
                _check_scalar(column_definition, f"{where}.fields.{column}")
        else:
            _check_scalar(definition, where)
    return field_config


def _check_labels(fields: Mapping[str, Any], where: str) -> None:
    if len(fields) > MAXIMUM_LABELS:
        raise BadRequest(f"{where}: at most {MAXIMUM_LABELS} labels")
    for label in fields:
        if not LABEL.fullmatch(label):
            raise BadRequest(f"{where}: a label has 1 to 36 of 0-9 A-Z a-z - _, not {label[:64]!r}")


def _check_scalar(definition: Any, where: str) -> None:
    field = _converted(definition, ScalarField, where)
    if field.enum is msgspec.UNSET:
        if field.type == "enum":
            raise BadRequest(f"{where}.enum: required for type enum")
    elif len(set(field.enum)) != len(field.enum):
        raise BadRequest(f"{where}.enum: values must be unique")


def _converted(definition: Any, kind: type[Definition], where: str) -> Definition:
    try:
        return msgspec.convert(definition, kind)
    except msgspec.ValidationError as error:
        problem, _, member = str(error).partition(" - at `$")
        raise BadRequest(f"{where}{member.removesuffix('`')}: {problem}") from error
