"""What no official client has a call for: the organizations of a person, over plain HTTPS."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import las
import pytest

from tests.support.newcomers import FrontDoor


@pytest.fixture
def person(front_door: FrontDoor) -> Iterator[httpx.Client]:
    """Somebody who belongs to the organization."""
    with front_door.newcomer() as ada:
        yield ada.api


def test_a_person_creates_an_organization(person: httpx.Client, client: las.Client) -> None:
    [first] = person.get("/organizations").json()["organizations"]
    assert first["organizationId"] == client.get_organization("me")["organizationId"]

    second = person.post("/organizations", json={"name": "Second"}).json()
    assert second["name"] == "Second"
    both = person.get("/organizations", params={"maxResults": 10}).json()
    assert [one["organizationId"] for one in both["organizations"]] == [
        first["organizationId"],
        second["organizationId"],
    ]
    profile = person.get("/profiles/me").json()
    assert (profile["numberOfOrganizationsCreated"], profile["numberOfOrganizationsAllowed"]) == (1, 1)
    refused = person.post("/organizations", json={})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")


def test_an_app_client_creates_none(http: httpx.Client) -> None:
    assert http.post("/organizations", json={}).status_code == 403
    assert len(http.get("/organizations").json()["organizations"]) == 1
