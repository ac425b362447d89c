"""Policies of pages: a tenant's URL can add nothing to them but its origin."""

from __future__ import annotations

import re

import pytest

from pagemill.api.sign_in import pages
from pagemill.api.sign_in.pages import ICON, STYLE, _target, environment, packaged


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://app.example.com/callback?a=b", " https://app.example.com"),
        ("http://localhost:3000/", " http://localhost:3000"),
        ("https://app.example.com;script-src *", ""),
        ("https://app.example.com 'unsafe-inline'/", ""),
        ("https://*/", ""),
        ("https://*.example.com/", ""),
        ("https://a,b/", ""),
        ("javascript:alert(1)", ""),
        ("https://app.example.com:99999/", ""),
    ],
)
def test_only_a_plain_origin_is_added(url: str, source: str) -> None:
    assert _target(url) == source


def test_nothing_is_allowed_but_the_style_sheet_and_the_form() -> None:
    assert dict(part.strip().split(" ", 1) for part in pages.POLICY.split(";")) == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'self'",
    }


def test_templates_have_no_script_and_no_style_of_their_own() -> None:
    templates = environment()
    names = templates.list_templates()
    assert len(names) > 10
    for name in names:
        source, _, _ = templates.loader.get_source(templates, name)  # type: ignore[union-attr]
        assert not re.search(r"<script|\son\w+=|style=|javascript:|\|\s*safe|https?://", source), name


def test_what_is_loaded_loads_nothing() -> None:
    assert not re.search(rb"@import|url\(", packaged(STYLE))
    assert not re.search(rb"<script|href|url\(|\son", packaged(ICON))


def test_values_are_escaped() -> None:
    html = (
        environment()
        .get_template("message.html.j2")
        .render(app="<b>", style="/s", icon="/i", heading="<i>", text='"><script>', back="/x")
    )
    assert "<b>" not in html
    assert "<script>" not in html
    assert "<i>" not in html
