"""Tests of decoding bodies, and of messages about wrong ones."""

from __future__ import annotations

import pytest

from pagemill.api.http.request_bodies import MAX_DEPTH, decode_body
from pagemill.api.resources.documents import PatchDocument, PostDocument
from pagemill.errors import BadRequest


def message_of(body: bytes, schema: type = PostDocument) -> str:
    with pytest.raises(BadRequest) as refused:
        decode_body(body, schema)
    return refused.value.message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"name": 5}', "name: "),
        (b'{"retentionInDays": "5"}', "retentionInDays: Expected `int`"),
        (b'{"retentionInDays": 0}', "retentionInDays: Expected `int` >= 1"),
        (b'{"surname": "x"}', "body: Object contains unknown field `surname`"),
        (b'{"groundTruth": [{"label": "a", "value": 1, "page": 0}]}', "groundTruth[0]: Object contains"),
        (b'{"groundTruth": [{"label": "a"}]}', "groundTruth[0]: Object missing required field `value`"),
        (
            b'{"groundTruth": [{"label": "a", "value": 1, "pages": [0,1,2,3,4,5,6,7,8,9,10]}]}',
            "groundTruth[0].pages: Expected `array` of length <= 10",
        ),
        (b'{"groundTruth": [{"label": "a b", "value": 1}]}', "groundTruth[0].label: "),
        (b'{"contentType": "text/plain"}', "contentType: Invalid enum value"),
        (b'{"consentId": "las:consent:1"}', "consentId: "),
        (b"[]", "body: Expected `object`, got `array`"),
        (b"null", "body: Expected `object`, got `null`"),
        (b"{", "body: is not JSON"),
        (b'{"name": "\xff"}', "body: is not JSON"),
        (b'{"name": NaN}', "body: is not JSON"),
        (b'{"name": "' + b"x" * 4097 + b'"}', "name: Expected `str` of length <= 4096"),
    ],
)
def test_wrong_member_is_named(body: bytes, expected: str) -> None:
    assert message_of(body).startswith(expected)


def test_depth_is_bounded() -> None:
    deep = b'{"metadata": ' + b'{"a": ' * 90_000 + b"1" + b"}" * 90_000 + b"}"
    assert message_of(deep) == "body: is nested too deeply"


@pytest.mark.parametrize(("depth", "accepted"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False), (500, False)])
def test_brackets_in_texts_are_not_counted(depth: int, accepted: bool) -> None:
    around = depth - 3
    inside = b"[" + b"[], {}, " * 200 + b"1]"
    metadata = b'{"[{": "]\\"[{", "a": ' * around + inside + b"}" * around
    body = b'{"metadata": ' + metadata + b"}"
    if accepted:
        assert decode_body(body, PostDocument).metadata is not None
    else:
        assert message_of(body) == "body: is nested too deeply"


@pytest.mark.parametrize("member", ["datasetId", "retentionInDays"])
def test_required_members_refuse_null(member: str) -> None:
    assert message_of(f'{{"{member}": null}}'.encode(), PatchDocument).startswith(f"{member}: ")


def test_value_types_are_kept() -> None:
    body = b'{"groundTruth": [{"label": "a", "value": "12"}, {"label": "b", "value": true}, \
        {"label": "c", "value": 1.5}, {"label": "d", "value": null}, {"label": "e", "value": 3}]}'
    document = decode_body(body, PostDocument)
    values = [item.value for item in document.ground_truth]
    assert values == ["12", True, 1.5, None, 3]
    assert [type(value) for value in values] == [str, bool, float, type(None), int]
