"""The metadata of the authorization server are what the specifications ask for."""

from __future__ import annotations

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from pagemill.api.auth.discovery import describe_authorization_server


def test_the_metadata_follow_rfc_8414() -> None:
    metadata = describe_authorization_server("https://localhost:8443")
    AuthorizationServerMetadata(metadata).validate()
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["response_types_supported"] == ["code"]


def test_of_openid_discovery_only_rsa_is_missing() -> None:
    """ES256 signs everything: a second key of another kind would only be one more to lose."""
    metadata = describe_authorization_server("https://localhost:8443")
    with pytest.raises(ValueError, match="RS256"):
        OpenIDProviderMetadata(metadata).validate()
    algorithms = [*metadata["id_token_signing_alg_values_supported"], "RS256"]
    OpenIDProviderMetadata(metadata | {"id_token_signing_alg_values_supported": algorithms}).validate()
