"""Configurations of workflows, as they are read and stored."""

from __future__ import annotations

import re

import pytest
from msgspec import UNSET

from pagemill.api.resources.workflow_configs import (
    ADDITIONAL_INPUT_BYTES,
    CompletedConfig,
    EmailConfig,
    check_allowed_origins,
    read_completed_config,
    read_email_config,
)
from pagemill.errors import BadRequest
from pagemill.ids import SecretId

SECRET = SecretId(f"las:secret:{'a' * 32}")
DOMAIN = "mail.example.com"


def test_a_configuration_that_is_not_sent_is_not_stored() -> None:
    assert read_completed_config(UNSET) is None
    assert read_email_config(UNSET, domain=DOMAIN) is None
    assert read_email_config(None, domain=DOMAIN) is None


def test_only_the_members_that_were_sent_are_stored() -> None:
    config = CompletedConfig(image_url="python", environment={"A": "b"})
    assert read_completed_config(config) == {"imageUrl": "python", "environment": {"A": "b"}}


def test_a_bad_image_is_named() -> None:
    with pytest.raises(BadRequest, match=r"^completedConfig\.imageUrl: "):
        read_completed_config(CompletedConfig(image_url="https://registry/image"))


def test_the_mail_address_is_new_and_stays() -> None:
    config = EmailConfig(secret_id=SECRET, email="mine@example.com")
    first = read_email_config(config, domain=DOMAIN)
    other = read_email_config(config, domain=DOMAIN)
    assert first is not None
    assert other is not None
    assert re.fullmatch(r"[0-9a-f]{32}@mail\.example\.com", first["email"])
    assert first["email"] != other["email"]
    changed = read_email_config(EmailConfig(secret_id=SECRET), domain="other.example.com", before=first)
    assert changed == {"secretId": SECRET, "email": first["email"]}


@pytest.mark.parametrize("origin", ["(", "[a-", "a{2,1}", "*"])
async def test_a_bad_expression_is_named(origin: str) -> None:
    config = EmailConfig(secret_id=SECRET, allowed_origins=[r".*@example\.com", origin])
    with pytest.raises(BadRequest, match=r"^emailConfig\.allowedOrigins\[1\]: is not a regular expression"):
        await check_allowed_origins(config)


def test_large_additional_input_is_refused() -> None:
    config = EmailConfig(secret_id=SECRET, additional_workflow_input={"a": "x" * ADDITIONAL_INPUT_BYTES})
    with pytest.raises(BadRequest, match=r"^emailConfig\.additionalWorkflowInput: "):
        read_email_config(config, domain=DOMAIN)
