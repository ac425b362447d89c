"""People of every role who were invited and have signed in: what they may, what they see, how it ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.local_stack import LocalStack
from pagemill.audit.refusals import WRITTEN_SECONDS
from tests.acceptance.conftest import plain_client
from tests.support.newcomers import App, Visitor, invite, make_app, new_address, operator, visitor

FORBIDDEN = (403, {"message": "Forbidden"})
ADMIN, MEMBER, VALIDATOR = "las:role:admin", "las:role:member", "las:role:validator"
PATIENCE_SECONDS = 30.0
REVIEWER = "las:role:reviewer"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who has come in."""

    user_id: str
    email: str
    api: httpx.Client
    browser: Visitor
    tokens: dict[str, Any]


@pytest.fixture(scope="module")
def app(http: httpx.Client) -> App:
    return make_app(http)


@contextlib.contextmanager
def newcomer(stack: LocalStack, http: httpx.Client, app: App, *role_ids: str) -> Iterator[Newcomer]:
    """Invite somebody, and let the person come in by the invitation."""
    email = new_address()
    user_id = invite(http, app, email, *role_ids)
    with visitor(stack, app) as browser:
        tokens = browser.accept_invitation(email)
        with plain_client(stack, tokens["access_token"]) as api:
            yield Newcomer(user_id, email, api, browser, tokens)


def refused(response: httpx.Response) -> bool:
    return (response.status_code, response.json()) == FORBIDDEN


def test_an_invited_person_is_active_and_has_a_profile(
    stack: LocalStack, http: httpx.Client, app: App
) -> None:
    with newcomer(stack, http, app, MEMBER) as ada:
        user = http.get(f"/users/{ada.user_id}").json()
        assert (user["status"], user["roleIds"]) == ("active", [MEMBER])
        profile = ada.api.get("/profiles/me").json()
        assert (profile["profileId"], profile["email"]) == (user["profileId"], ada.email)
        assert ada.api.patch("/profiles/me", json={"locale": "nb"}).json()["locale"] == "nb"
        seen = http.get(f"/profiles/{user['profileId']}").json()
        assert set(seen) == {"profileId", "givenName", "familyName", "picture"}
        assert refused(http.patch(f"/profiles/{user['profileId']}", json={"givenName": "Eve"}))


def test_an_admin_administers(stack: LocalStack, http: httpx.Client, app: App) -> None:
    with newcomer(stack, http, app, ADMIN) as ada:
        made = ada.api.post("/appClients", json={"roleIds": [VALIDATOR]}).json()
        assert (made["createdBy"], made["roleIds"]) == (ada.user_id, [VALIDATOR])
        assert ada.api.delete(f"/appClients/{made['appClientId']}").status_code == 200
        assert ada.api.delete(f"/users/{ada.user_id}").status_code == 400
        events = ada.api.get("/auditEvents", params={"principalId": ada.user_id}).json()["auditEvents"]
        done = [(event["action"], event["resourceId"]) for event in events]
        assert done == [
            ("createToken", app.app_client_id),
            ("createAppClient", made["appClientId"]),
            ("deleteAppClient", made["appClientId"]),
        ]
        profile_id = ada.api.get("/profiles/me").json()["profileId"]
        assert {event["profileId"] for event in events} == {profile_id}
        everything = ada.api.get("/auditEvents", params={"maxResults": "1000"}).json()["auditEvents"]
        assert "acceptInvitation" in {
            event["action"] for event in everything if event["profileId"] == profile_id
        }


def test_a_member_builds_and_does_not_administer(stack: LocalStack, http: httpx.Client, app: App) -> None:
    with newcomer(stack, http, app, MEMBER) as ada:
        dataset = ada.api.post("/datasets", json={"name": "Mine"}).json()
        assert dataset["createdBy"] == ada.user_id
        assert ada.api.delete(f"/datasets/{dataset['datasetId']}").status_code == 200
        for answer in (
            ada.api.post("/users", json={"email": new_address()}),
            ada.api.patch(f"/users/{ada.user_id}", json={"roleIds": [ADMIN]}),
            ada.api.patch(f"/users/{ada.user_id}", json={"roleIds": []}),
            ada.api.post("/appClients", json={}),
            ada.api.patch("/organizations/me", json={"name": "Mine"}),
            ada.api.get("/auditEvents"),
        ):
            assert refused(answer), answer.request.url


def test_a_validator_reads_and_reviews(stack: LocalStack, http: httpx.Client, app: App) -> None:
    with newcomer(stack, http, app, VALIDATOR) as ada:
        for path in ("/documents", "/datasets", "/models", "/predictions", "/users", "/organizations/me"):
            assert ada.api.get(path).status_code == 200, path
        for path in ("/secrets", "/appClients", "/paymentMethods", "/auditEvents"):
            assert refused(ada.api.get(path)), path
        for path in ("/documents", "/datasets", "/models", "/predictions", "/users"):
            assert refused(ada.api.post(path, json={})), path
        assert refused(ada.api.delete("/documents"))


def test_a_role_of_the_operator(stack: LocalStack, http: httpx.Client, app: App, tmp_path: Path) -> None:
    """It is defined by command, given by an admin, and denies one dataset wherever its id stands."""
    own = http.post("/datasets", json={"name": "open"}).json()["datasetId"]
    closed = http.post("/datasets", json={"name": "closed"}).json()["datasetId"]
    file = tmp_path / "roles.yaml"
    file.write_text(
        f"""
        roles:
          - roleId: {REVIEWER}
            name: Reviewer
            permissions:
              - {{resourceId: "*", action: read, effect: allow}}
              - {{resourceId: "las:document:*", action: write, effect: allow}}
              - {{resourceId: "{closed}", action: "*", effect: deny}}
        """
    )
    assert operator(stack, "roles", "define", str(file)) == f"{REVIEWER}  new\n"
    try:
        with newcomer(stack, http, app, MEMBER) as ada:
            assert ada.api.post("/documents", json={"datasetId": closed}).status_code == 200
            changed = http.patch(f"/users/{ada.user_id}", json={"roleIds": [REVIEWER]})
            assert changed.json()["roleIds"] == [REVIEWER]
            assert ada.api.get(f"/datasets/{own}").status_code == 200
            listed = ada.api.get("/datasets", params={"maxResults": "1000"}).json()["datasets"]
            ids = {dataset["datasetId"] for dataset in listed}
            assert (own in ids, closed in ids) == (True, False)
            assert ada.api.post("/documents", json={"datasetId": own}).status_code == 200
            for answer in (
                ada.api.get(f"/datasets/{closed}"),
                ada.api.get("/documents", params={"datasetId": closed}),
                ada.api.post("/documents", json={"datasetId": closed}),
                ada.api.get(f"/datasets/{closed}/transformations"),
                ada.api.post("/datasets", json={}),
            ):
                assert refused(answer), answer.request.url
            http.patch(f"/users/{ada.user_id}", json={"roleIds": [MEMBER]})
    finally:
        for dataset_id in (own, closed):
            http.delete("/documents", params={"datasetId": dataset_id})
            http.delete(f"/datasets/{dataset_id}")
    assert operator(stack, "roles", "remove", REVIEWER) == f"{REVIEWER} removed\n"


def test_a_removed_user_is_out_at_once(stack: LocalStack, http: httpx.Client, app: App) -> None:
    with newcomer(stack, http, app, MEMBER) as ada:
        assert ada.api.get("/documents").status_code == 200
        assert http.delete(f"/users/{ada.user_id}").status_code == 200
        assert refused(ada.api.get("/documents"))
        assert ada.browser.refresh(ada.tokens["refresh_token"]).status_code == 400


def test_a_person_creates_as_many_organizations_as_the_operator_allows(
    stack: LocalStack, http: httpx.Client, app: App
) -> None:
    with newcomer(stack, http, app, ADMIN) as ada:
        assert ada.api.post("/organizations", json={"name": "One"}).status_code == 200
        limit = ada.api.post("/organizations", json={"name": "Two"})
        assert (limit.status_code, limit.json()["message"]) == (429, "Limit Exceeded")
        operator(stack, "people", "allow", ada.email, "2")
        assert ada.api.post("/organizations", json={"name": "Two"}).status_code == 200
        names = [one["name"] for one in ada.api.get("/organizations").json()["organizations"]]
        assert names[-2:] == ["One", "Two"]


def test_refusals_are_in_the_audit(stack: LocalStack, http: httpx.Client, app: App) -> None:
    """They are written together, some seconds after they happened."""
    with newcomer(stack, http, app, VALIDATOR) as ada:
        for _ in range(5):
            assert refused(ada.api.post("/datasets", json={}))
        query = {"principalId": ada.user_id, "outcome": "refused"}
        counted = 0
        deadline = time.monotonic() + WRITTEN_SECONDS + PATIENCE_SECONDS
        while counted < 5 and time.monotonic() < deadline:
            events = http.get("/auditEvents", params=query).json()["auditEvents"]
            # Each process of the API writes its own.
            counted = sum(event["details"].get("numberOfRequests", 1) for event in events)
            time.sleep(0.2)
        assert counted == 5
        assert {event["action"] for event in events} == {"createDataset"}
        assert "createDataset" in operator(stack, "audit", "--principal", ada.user_id)
