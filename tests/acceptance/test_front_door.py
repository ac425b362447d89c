"""People of every role who were invited and have signed in: what they may, what they see, how it ends."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.mailbox import text_of
from tests.support.newcomers import LOGIN, FrontDoor, new_address, operator

FORBIDDEN = (403, {"message": "Forbidden"})
ADMIN, MEMBER, VALIDATOR = "las:role:admin", "las:role:member", "las:role:validator"
REVIEWER = "las:role:reviewer"


def refused(response: httpx.Response) -> bool:
    return (response.status_code, response.json()) == FORBIDDEN


def test_an_invited_person_is_active_and_has_a_profile(http: httpx.Client, front_door: FrontDoor) -> None:
    with front_door.newcomer(MEMBER) as ada:
        user = http.get(f"/users/{ada.user_id}").json()
        assert (user["status"], user["roleIds"]) == ("active", [MEMBER])
        profile = ada.api.get("/profiles/me").json()
        assert (profile["profileId"], profile["email"]) == (user["profileId"], ada.email)
        assert ada.api.patch("/profiles/me", json={"locale": "nb"}).json()["locale"] == "nb"
        seen = http.get(f"/profiles/{user['profileId']}").json()
        assert set(seen) == {"profileId", "givenName", "familyName", "picture"}
        assert refused(http.patch(f"/profiles/{user['profileId']}", json={"givenName": "Eve"}))


def test_people_sign_in_go_on_and_sign_out(front_door: FrontDoor) -> None:
    """By the mail and a new password first; then elsewhere by the password alone."""
    with front_door.newcomer(MEMBER) as ada:
        text = text_of(front_door.message_to(ada.email))
        assert "valid for 90 days" in text
        assert f"Sign in: {LOGIN}" in text
        with front_door.visitor() as elsewhere:
            tokens = elsewhere.sign_in(ada.email)
            other = elsewhere.refresh(tokens["refresh_token"]).json()
            assert other["access_token"] != tokens["access_token"]
            assert front_door.status_of(other["access_token"]) == 200
            elsewhere.sign_out()
            assert front_door.status_of(other["access_token"]) == 403
            assert elsewhere.refresh(other["refresh_token"]).status_code == 400
        assert ada.api.get("/profiles/me").status_code == 200


def test_an_admin_administers(front_door: FrontDoor) -> None:
    with front_door.newcomer(ADMIN) as ada:
        made = ada.api.post("/appClients", json={"roleIds": [VALIDATOR]}).json()
        assert (made["createdBy"], made["roleIds"]) == (ada.user_id, [VALIDATOR])
        assert ada.api.delete(f"/appClients/{made['appClientId']}").status_code == 200
        assert ada.api.delete(f"/users/{ada.user_id}").status_code == 400
        events = ada.api.get("/auditEvents", params={"principalId": ada.user_id}).json()["auditEvents"]
        done = [(event["action"], event["resourceId"]) for event in events]
        assert done == [
            ("createToken", front_door.app.app_client_id),
            ("createAppClient", made["appClientId"]),
            ("deleteAppClient", made["appClientId"]),
        ]
        profile_id = ada.api.get("/profiles/me").json()["profileId"]
        assert {event["profileId"] for event in events} == {profile_id}
        everything = ada.api.get("/auditEvents", params={"maxResults": "1000"}).json()["auditEvents"]
        assert "acceptInvitation" in {
            event["action"] for event in everything if event["profileId"] == profile_id
        }


def test_a_member_builds_and_does_not_administer(front_door: FrontDoor) -> None:
    with front_door.newcomer(MEMBER) as ada:
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


def test_a_validator_reads_and_reviews(front_door: FrontDoor) -> None:
    with front_door.newcomer(VALIDATOR) as ada:
        for path in ("/documents", "/datasets", "/models", "/predictions", "/users", "/organizations/me"):
            assert ada.api.get(path).status_code == 200, path
        for path in ("/secrets", "/appClients", "/paymentMethods", "/auditEvents"):
            assert refused(ada.api.get(path)), path
        for path in ("/documents", "/datasets", "/models", "/predictions", "/users"):
            assert refused(ada.api.post(path, json={})), path
        assert refused(ada.api.delete("/documents"))


def test_a_role_of_the_operator(http: httpx.Client, front_door: FrontDoor, tmp_path: Path) -> None:
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
    assert operator(front_door.stack, "roles", "define", str(file)) == f"{REVIEWER}  new\n"
    try:
        with front_door.newcomer(MEMBER) as ada:
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
    assert operator(front_door.stack, "roles", "remove", REVIEWER) == f"{REVIEWER} removed\n"


def test_a_removed_user_is_out_at_once(http: httpx.Client, front_door: FrontDoor) -> None:
    with front_door.newcomer(MEMBER) as ada:
        assert ada.api.get("/documents").status_code == 200
        assert http.delete(f"/users/{ada.user_id}").status_code == 200
        assert refused(ada.api.get("/documents"))
        assert ada.browser.refresh(ada.tokens["refresh_token"]).status_code == 400


def test_a_person_creates_as_many_organizations_as_the_operator_allows(front_door: FrontDoor) -> None:
    with front_door.newcomer(ADMIN) as ada:
        assert ada.api.post("/organizations", json={"name": "One"}).status_code == 200
        limit = ada.api.post("/organizations", json={"name": "Two"})
        assert (limit.status_code, limit.json()["message"]) == (429, "Limit Exceeded")
        operator(front_door.stack, "people", "allow", ada.email, "2")
        assert ada.api.post("/organizations", json={"name": "Two"}).status_code == 200
        names = [one["name"] for one in ada.api.get("/organizations").json()["organizations"]]
        assert names[-2:] == ["One", "Two"]
