"""What the server answers becomes the exceptions that the Python SDK documents, each after so many tries."""

from __future__ import annotations

import las
import pytest
import requests
from las.client import (
    BadRequest,
    EmptyRequestError,
    InvalidCredentialsException,
    LimitExceededException,
    NotFound,
    TooManyRequestsException,
)

from examples.local_stack import LocalStack, local_stack
from tests.support.clients import RecordingClient, client_of, new_organization
from tests.support.directories import temporary_directory

TRIES = 4
"""Of the client, before it gives up on 429 `Too Many Requests`."""
METERS = ("documents", "assets", "secrets", "datasets", "models", "app-clients", "transitions", "workflows")


@pytest.fixture(scope="module")
def limited(stack: LocalStack) -> RecordingClient:
    """A client of an organization whose plan allows nothing."""
    tenant = new_organization(stack.data_directory, allowed=dict.fromkeys((*METERS, "users"), 0))
    return client_of(tenant, stack.environment)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The status of every answer of the API to the client."""
    statuses: list[int] = []
    send = requests.Session.send

    def counting(*arguments: object, **options: object) -> requests.Response:
        response = send(*arguments, **options)
        if "/v1/" in response.url:
            statuses.append(response.status_code)
        return response

    monkeypatch.setattr(requests.Session, "send", counting)
    return statuses


def test_a_bad_request_is_made_once(client: las.Client, sent: list[int]) -> None:
    with pytest.raises(BadRequest, match="metadata"):
        client.create_dataset(metadata={"text": "x" * 5000})
    assert sent == [400]


def test_what_is_not_found_is_asked_for_once(client: las.Client, sent: list[int]) -> None:
    with pytest.raises(NotFound, match=f"las:dataset:{'0' * 32}"):
        client.get_dataset("las:dataset:" + "0" * 32)
    assert sent == [404]


def test_a_wrong_token_is_shown_once(client: las.Client, sent: list[int]) -> None:
    good = client.credentials
    wrong = las.Credentials(good.client_id, good.client_secret, good.auth_endpoint, good.api_endpoint)
    wrong._token = ("no.valid.token", 2**33)

    with pytest.raises(InvalidCredentialsException):
        las.Client(wrong).list_datasets()
    assert sent == [403]


def test_a_limit_is_met_once(limited: RecordingClient, sent: list[int]) -> None:
    limited.list_assets()
    for create in (
        lambda: limited.create_asset(b"{}!"),
        lambda: limited.create_secret({"a": "b"}),
        lambda: limited.create_dataset(),
        lambda: limited.create_model({"total": {"type": "amount"}}),
        lambda: limited.create_document(b"%PDF-1.7"),
        lambda: limited.create_app_client(),
        lambda: limited.create_transition("manual"),
    ):
        sent.clear()
        with pytest.raises(LimitExceededException):
            create()
        assert sent == [429]


def test_too_many_requests_are_tried_again_and_then_given_up(
    sent: list[int], follows_the_contract: None
) -> None:
    """A second stack, without Ray, whose organizations may send one request in a hundred seconds."""
    settings = {"PAGEMILL_REQUEST_RATE": "0.01", "PAGEMILL_REQUEST_BURST": "1"}
    with (
        temporary_directory("pagemill-") as directory,
        local_stack(directory / "data", "--without-ray", settings=settings) as slow,
        pytest.MonkeyPatch.context() as environment,
    ):
        for name, value in slow.environment.items():
            environment.setenv(name, value)
        hasty = las.Client()
        hasty.list_datasets()
        with pytest.raises(TooManyRequestsException):
            hasty.list_datasets()

    assert sent == [200, *[429] * TRIES]


def test_an_empty_change_is_not_even_sent(client: las.Client, sent: list[int]) -> None:
    dataset_id = client.create_dataset()["datasetId"]
    sent.clear()

    with pytest.raises(EmptyRequestError):
        client.update_dataset(dataset_id)

    assert sent == []
    client.delete_dataset(dataset_id)
