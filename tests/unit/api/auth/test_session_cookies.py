"""The cookie of a session is for its own host alone, and for no script."""

from __future__ import annotations

from pagemill.api.auth.session_cookies import no_session_cookie, session_cookie
from pagemill.people.sessions import SessionCookie


def attributes_of(header: str) -> dict[str, str]:
    """Attributes of a cookie in lower case; the first is its name."""
    parts = (part.strip().partition("=") for part in header.split(";"))
    return {name.lower(): value for name, _, value in parts}


def test_no_script_and_no_other_host_gets_it() -> None:
    header = session_cookie(SessionCookie("value"), seconds=60).to_header(header="")
    attributes = attributes_of(header)
    assert attributes["__host-pagemill-session"] == "value"
    assert {"secure", "httponly"} <= set(attributes)
    assert (attributes["path"], attributes["samesite"].lower(), attributes["max-age"]) == ("/", "lax", "60")
    assert "domain" not in attributes


def test_it_is_taken_back_at_once() -> None:
    attributes = attributes_of(no_session_cookie().to_header(header=""))
    assert attributes["max-age"] == "0"
    assert attributes["path"] == "/"
    assert attributes["__host-pagemill-session"].strip('"') == ""
