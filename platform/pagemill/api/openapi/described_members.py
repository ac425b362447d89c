"""Schemas of members that say more than the members' types: forms of ids and times, and free objects.

Answers are not validated, so their structs have plain ``str`` and ``dict``; the document says more. A key is
the name of a member in all answers or, with the name of a struct before it, of that struct alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, get_args

import msgspec

from pagemill.api.http.schemas import TEXT_LENGTH, RequestStruct, ResponseStruct
from pagemill.api.openapi.schema_references import reference_to
from pagemill.api.resources.field_config import LinesField, ScalarField
from pagemill.api.resources.transition_parameters import CHANGES, PARAMETERS
from pagemill.content_types import CONTENT_TYPES
from pagemill.documents.content import MAXIMUM_INLINE_CHARACTERS
from pagemill.permissions import Permission

Json: TypeAlias = dict[str, Any]

NEVER_EMPTY = ("PreprocessConfig",)
CHECKED: tuple[type[msgspec.Struct], ...] = (ScalarField, LinesField, *PARAMETERS.values(), *CHANGES.values())
"""Structs with which functions validate free objects."""

TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\+0000$"
URL = "^http://localhost.*|^https://.*"
SLUG = "[a-z0-9-_]+"
VERSION = "(|:@[a-z0-9-_]+|:[0-9]+)"
OWNER = "(|las:organization:[a-z0-9-_]+/)"
LABEL = "^[0-9A-Za-z-_]{1,36}$"


def _text(pattern: str) -> Json:
    return {"type": "string", "pattern": pattern}


def _hexadecimal(kind: str) -> Json:
    return _text(f"^las:{kind}:[a-f0-9]{{32}}$")


def _any_of(*names: str) -> Json:
    return {"anyOf": [reference_to(name) for name in names]}


def _from(minimum: int, maximum: int | None = None) -> Json:
    bounds = {"type": "integer", "minimum": minimum}
    return bounds if maximum is None else {**bounds, "maximum": maximum}


def _words(*words: str) -> Json:
    return {"type": "string", "enum": list(words)}


_FIELDS: Json = {"type": "object", "additionalProperties": False}
_COLUMNS: Json = {**_FIELDS, "patternProperties": {LABEL: reference_to("ScalarField")}}
_FIELD_CONFIG: Json = {**_FIELDS, "patternProperties": {LABEL: _any_of("ScalarField", "LinesField")}}
_TRANSITION_ID: Json = {
    "anyOf": [_hexadecimal("transition"), _text("^las:transition:commons-[0-9A-Za-z-]+$")]
}
_TEXT: Json = {"type": "string", "maxLength": TEXT_LENGTH}
_URL = _text(URL)
_ROLE = _text("^las:role:[0-9A-Za-z-_]{1,32}$")
_PLAN = f"las:plan:{SLUG}{VERSION}$"
_ENVIRONMENT = f"las:deployment-environment:{SLUG}{VERSION}$"

_CANDIDATE: Json = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "minLength": 1, "maxLength": 36, "pattern": "^[0-9A-Za-z-_]+$"},
        "value": {
            "anyOf": [{"type": "string", "minLength": 1, "maxLength": 1024}, {"type": "null"}],
        },
        "rawValue": {
            "anyOf": [{"type": "string", "minLength": 1, "maxLength": 1024}, {"type": "null"}],
        },
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "page": {"type": "integer"},
        "location": {
            "type": "array",
            "items": {"type": "number", "minimum": 0, "maximum": 1},
            "minItems": 4,
            "maxItems": 4,
        },
        "source": _words("llm", "model"),
    },
    "required": ["confidence", "label", "value"],
    "additionalProperties": False,
}
_CANDIDATE_LINES: Json = {
    "type": "object",
    "properties": {
        "label": _CANDIDATE["properties"]["label"],
        "page": {"type": "integer", "minimum": 0},
        "value": {"type": "array", "items": {"type": "array", "items": reference_to("Candidate")}},
    },
    "required": ["label", "value"],
    "additionalProperties": False,
}

SENT: Mapping[str, Json] = {
    "LinesField.fields": _COLUMNS,
    "PostModel.fieldConfig": _FIELD_CONFIG,
    "PatchModel.fieldConfig": _FIELD_CONFIG,
    "PostTransition.parameters": _any_of(*(one.__name__ for one in PARAMETERS.values())),
    "PatchTransition.parameters": _any_of(*(one.__name__ for one in CHANGES.values())),
}
"""Schemas of members of requests that a function validates."""

ANSWERED: Mapping[str, Json] = {
    **dict.fromkeys(
        ("name", "description", "createdBy", "updatedBy", "completedBy", "nextToken", "contentMD5", "error"),
        _TEXT,
    ),
    **dict.fromkeys(("familyName", "givenName", "locale", "picture"), _TEXT),
    **dict.fromkeys(("stripePublishableKey", "stripeSetupIntentSecret"), _TEXT),
    **dict.fromkeys(("fileUrl", "defaultLoginUrl", "callbackUrls", "loginUrls", "logoutUrls"), _URL),
    "assetId": _hexadecimal("asset"),
    "consentId": _hexadecimal("consent"),
    "datasetId": _hexadecimal("dataset"),
    "transformationId": _hexadecimal("dataset-transformation"),
    "documentId": _hexadecimal("document"),
    "logId": _hexadecimal("log"),
    "completedTaskLogId": _hexadecimal("log"),
    "dataBundleId": _hexadecimal("model-data-bundle"),
    "dataBundleIds": _hexadecimal("model-data-bundle"),
    "paymentMethodId": _hexadecimal("payment-method"),
    "predictionId": _hexadecimal("prediction"),
    "profileId": _hexadecimal("profile"),
    "secretId": _hexadecimal("secret"),
    "transitionExecutionId": _hexadecimal("transition-execution"),
    "userId": _hexadecimal("user"),
    "workflowId": _hexadecimal("workflow"),
    "workflowExecutionId": _hexadecimal("workflow-execution"),
    "TransitionExecution.executionId": _hexadecimal("transition-execution"),
    "WorkflowExecution.executionId": _hexadecimal("workflow-execution"),
    "WorkflowExecution.completedBy": {
        "anyOf": [_hexadecimal("user"), _text(f"^las:app-client:{SLUG}$")],
    },
    "transitionId": _TRANSITION_ID,
    "appClientId": _text(f"^las:app-client:{SLUG}$"),
    "organizationId": _text(f"^las:organization:{SLUG}$"),
    "modelId": _text(f"^las:model:{SLUG}$"),
    "Prediction.modelId": _text(f"^{OWNER}las:model:{SLUG}$"),
    "Predictions.modelId": _text(f"^{OWNER}las:model:{SLUG}$"),
    "trainingId": _text(f"^las:model-training:{SLUG}$"),
    "planId": _text(f"^{_PLAN}"),
    "Organization.planId": _text(f"^{OWNER}{_PLAN}"),
    "deploymentEnvironmentId": _text(f"^{_ENVIRONMENT}"),
    "Training.deploymentEnvironmentId": _text(f"^{OWNER}{_ENVIRONMENT}"),
    "Organization.clientId": _text("^[0-9a-z]+$"),
    "roleId": _ROLE,
    "roleIds": _ROLE,
    "content": {"type": "string", "minLength": 1, "maxLength": MAXIMUM_INLINE_CHARACTERS},
    "contentType": _words(*CONTENT_TYPES),
    "order": _words("ascending", "descending"),
    "Documents.sortBy": _words("createdTime"),
    "retentionInDays": _from(1),
    "Dataset.retentionInDays": _from(0, 1825),
    "documentRetentionInDays": _from(1),
    "Permission.resourceId": {"type": "string", "minLength": 1},
    "Plan.latest": _from(1),
    "timeoutInSeconds": _from(60, 10_800),
    "Training.gpuHours": {"type": "number", "minimum": 0},
    "inferenceTime": {"type": "number", "minimum": 0},
    "fieldConfig": _FIELD_CONFIG,
    "preprocessConfig": reference_to("PreprocessConfig"),
    "postprocessConfig": _any_of("BestFirst", "BestPages"),
    "groundTruth": reference_to("GroundTruthItem"),
    "DataBundle.datasets": reference_to("Dataset"),
    "operations": reference_to("Operation"),
    "completedConfig": reference_to("CompletedConfig"),
    "emailConfig": reference_to("EmailConfig"),
    "errorConfig": reference_to("ErrorConfig"),
    "Transition.assets": _hexadecimal("asset"),
}
"""Schemas of members of answers."""

ANSWERED_WHOLE: Mapping[str, Json] = {
    "Prediction.predictions": {
        "anyOf": [
            {"type": "array", "items": _any_of("Candidate", "CandidateLines")},
            {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "object"}},
            },
            {"type": "null"},
        ]
    },
}
"""Schemas that replace a member's whole schema; the others keep null, lists and maps of the type."""

_COUNTER = re.compile(r"(?:numberOf|monthlyNumberOf)[A-Z]\w*|version|modelDeploymentUnits")


def describe_members(components: Json) -> None:
    """Complete the schemas in place. Answers are closed; members that they always have are required."""
    _write_patterns_plainly(components)
    components |= {"Candidate": _CANDIDATE, "CandidateLines": _CANDIDATE_LINES}
    requests: tuple[type[msgspec.Struct], ...] = (*CHECKED, *_subclasses(RequestStruct))
    answers: tuple[type[msgspec.Struct], ...] = (*_subclasses(ResponseStruct), Permission)
    for kind in requests:
        if kind.__name__ in components:
            _describe(components[kind.__name__], kind.__name__, SENT)
    for name in NEVER_EMPTY:
        components[name]["minProperties"] = 1
    for kind in answers:
        schema = components.get(kind.__name__)
        if schema is not None:
            schema["additionalProperties"] = False
            schema["required"] = [
                one.encode_name
                for one in msgspec.structs.fields(kind)
                if msgspec.UnsetType not in get_args(one.type)
            ]
            _describe(schema, kind.__name__, ANSWERED)


def _write_patterns_plainly(schema: Any) -> None:
    """Write patterns for JSON Schema, whose ``$`` never matches before a line break at the end."""
    for name, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if name == "pattern" and isinstance(value, str):
            schema[name] = value.replace(r"$(?!\n)", "$").replace(r"\Z", "$")
        elif isinstance(value, (dict, list)):
            _write_patterns_plainly(value)


def _subclasses(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for one in kind.__subclasses__():
        yield one
        yield from _subclasses(one)


def _describe(schema: Json, kind: str, known: Mapping[str, Json]) -> None:
    for member, described in schema["properties"].items():
        if known is ANSWERED:
            described.pop("default", None)
        if known is ANSWERED and f"{kind}.{member}" in ANSWERED_WHOLE:
            schema["properties"][member] = ANSWERED_WHOLE[f"{kind}.{member}"]
            continue
        for plain in list(_plain(described)):
            shape = known.get(f"{kind}.{member}", known.get(member))
            if shape is None and known is ANSWERED:
                shape = _by_form(member, plain["type"])
            if shape is not None:
                plain.clear()
                plain.update(shape)


def _by_form(member: str, kind: str) -> Json | None:
    if kind == "string" and member.endswith("Time"):
        return _text(TIME)
    if kind in ("integer", "number") and _COUNTER.fullmatch(member):
        return {"type": kind, "minimum": 0}
    return None


def _plain(schema: Json) -> Iterator[Json]:
    """Yield the parts of a member's schema that have only a type."""
    for option in schema.get("anyOf", ()):
        yield from _plain(option)
    kind = schema.get("type")
    if kind == "array" and "items" in schema:
        yield from _plain(schema["items"])
    elif kind == "object" and schema.get("additionalProperties"):
        yield from _plain(schema["additionalProperties"])
    elif kind not in (None, "null", "array", "boolean") and set(schema) == {"type"}:
        yield schema
