"""Containers get their ids, what their owner has set, secrets, and addresses that they can reach."""

from __future__ import annotations

import pytest

from pagemill.containers.environment import (
    CA_PATH,
    ApiAddress,
    Credentials,
    complete_environment,
    merge_environment,
)

IDS = {"TRANSITION_ID": "las:transition:1", "EXECUTION_ID": "las:transition-execution:1"}
HERE = ApiAddress("https://localhost:8443", "")
ELSEWHERE = ApiAddress("https://localhost:8443", "https://api.example.com")


def test_a_secret_wins_over_the_transition_and_nothing_over_the_ids() -> None:
    merged = merge_environment(
        IDS,
        {"A": "transition", "B": "transition", "EXECUTION_ID": "another"},
        [{"B": "first", "C": "first"}, {"C": "second"}],
    )

    assert merged.values == {**IDS, "A": "transition", "B": "first", "C": "second"}
    assert merged.left_out == []


@pytest.mark.parametrize(
    "secret",
    [
        {"NUMBER": 5},
        {"NULL": None},
        {"MAP": {"a": "b"}},
        {"A=B": "x"},
        {"": "x"},
        {"N\0": "x"},
        {"ZERO": "x\0"},
    ],
)
def test_what_is_no_variable_is_left_out_and_named(secret: dict[str, object]) -> None:
    merged = merge_environment(IDS, {}, [secret])

    assert merged.values == IDS
    assert merged.left_out == list(secret)


def test_a_container_without_credentials_gets_its_own_and_the_address() -> None:
    merged = merge_environment(IDS, {"LAS_API_ENDPOINT": "https://elsewhere/v1"}, [])
    assert merged.needs_credentials

    values = complete_environment(merged, HERE, Credentials("client", "secret"), with_ca=True)

    assert values == {
        **IDS,
        "LAS_CLIENT_ID": "client",
        "LAS_CLIENT_SECRET": "secret",
        "LAS_AUTH_ENDPOINT": "pagemill.localhost:8443",
        "LAS_API_ENDPOINT": "https://pagemill.localhost:8443/v1",
        "REQUESTS_CA_BUNDLE": CA_PATH,
        "NODE_EXTRA_CA_CERTS": CA_PATH,
        "CURL_CA_BUNDLE": CA_PATH,
    }


def test_credentials_of_a_secret_are_kept_and_only_this_machines_address_is_translated() -> None:
    secret = {
        "LAS_CLIENT_ID": "own",
        "LAS_CLIENT_SECRET": "own",
        "LAS_AUTH_ENDPOINT": "127.0.0.1:8443/oauth2",
        "LAS_API_ENDPOINT": "https://localhost:8443/v1",
        "REQUESTS_CA_BUNDLE": "/own.pem",
    }
    merged = merge_environment(IDS, {}, [secret])
    assert not merged.needs_credentials

    values = complete_environment(merged, HERE, None, with_ca=True)

    assert values["LAS_CLIENT_ID"] == "own"
    assert values["LAS_AUTH_ENDPOINT"] == "pagemill.localhost:8443/oauth2"
    assert values["LAS_API_ENDPOINT"] == "https://pagemill.localhost:8443/v1"
    assert values["REQUESTS_CA_BUNDLE"] == "/own.pem"


@pytest.mark.parametrize(
    ("given", "translated"),
    [
        ("[::1]:8443", "api.example.com"),
        ("http://127.0.0.1:1/v1", "http://api.example.com/v1"),
        ("localhost", "api.example.com"),
        ("https://other.example.com/v1", "https://other.example.com/v1"),
        ("localhost.example.com:1", "localhost.example.com:1"),
    ],
)
def test_endpoints_are_translated_to_the_address_that_the_operator_gives(given: str, translated: str) -> None:
    assert ELSEWHERE.translate(given) == translated
    assert not ELSEWHERE.is_this_machine


def test_a_public_api_is_reached_as_it_is() -> None:
    public = ApiAddress("https://pagemill.example.com", "")

    assert public.api_endpoint == "https://pagemill.example.com/v1"
    assert not public.is_this_machine
    assert public.translate("https://127.0.0.1/v1") == "https://pagemill.example.com/v1"


def test_without_an_authority_nothing_is_said_of_it() -> None:
    values = complete_environment(merge_environment(IDS, {}, []), HERE, None, with_ca=False)

    assert values == IDS


def test_secrets_do_not_show_in_descriptions() -> None:
    assert "hidden" not in repr(Credentials("client", "hidden"))
