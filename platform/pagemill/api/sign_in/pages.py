"""Pages by Jinja: each with a strict content policy, and a token for its form."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from litestar import Response, get
from litestar.datastructures import Cookie
from litestar.enums import MediaType

from pagemill.api.http.error_responses import on_error
from pagemill.api.http.requests import ApiRequest
from pagemill.api.sign_in.cookies import form_cookie
from pagemill.api.sign_in.visits import REQUEST, TOKEN, Visit

STYLE: Final = "style.css"
ICON: Final = "icon.svg"
KEPT: Final = "public, max-age=31536000, immutable"
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'"
)
NOT_FOUND: Final = "There is no such page."
FAILED: Final = "Something went wrong here. Try again later."
TOO_MANY: Final = "Too many tries. Wait a few minutes, then try again."
# Hosts and ports alone: a policy is a list of words, and tenants register the URLs.
_HOST = re.compile(r"[A-Za-z0-9]([-.A-Za-z0-9]{0,251}[A-Za-z0-9])?")


def page(
    visit: Visit,
    template: str,
    *,
    status: int = 200,
    cookies: Iterable[Cookie] = (),
    **context: Any,
) -> Response[str]:
    """Return a page, whose form may lead to the app that a person signs in for, and nowhere else."""
    asked = visit.asked
    html = (
        environment()
        .get_template(template)
        .render(
            app=None if asked is None else asked.app_client_name,
            hidden={TOKEN: visit.form_token(), REQUEST: visit.sealed},
            link=visit.link,
            **_loaded(),
            **context,
        )
    )
    policy = POLICY if asked is None else f"{POLICY}{_target(asked.redirect_uri)}"
    return _html(html, status, policy, [form_cookie(visit.form_value), *cookies])


def redirect(url: str, *, cookies: Iterable[Cookie] = ()) -> Response[Any]:
    """Return an answer after which the browser asks for a URL by GET."""
    return Response(b"", status_code=303, headers={"Location": url}, cookies=list(cookies))


def on_page_error(request: ApiRequest, error: Exception) -> Response[Any]:
    """Return the page of an error, with the status that the API would give it."""
    answer = on_error(request, error)
    status = answer.status_code or 500
    if status >= 500:
        text = FAILED if status == 500 else answer.content["message"]
    else:
        text = {404: NOT_FOUND, 429: TOO_MANY}.get(status, answer.content["message"])
    html = (
        environment()
        .get_template("message.html.j2")
        .render(app=None, heading="That did not work", text=text, back="/sign-in", **_loaded())
    )
    shown = _html(html, status, POLICY, [])
    shown.headers.update(answer.headers)
    return shown


@get(f"/{STYLE}", sync_to_thread=False)
def get_style() -> Response[bytes]:
    """Return the style sheet of all pages, which browsers keep: another one has another URL."""
    return Response(packaged(STYLE), media_type="text/css", headers={"Cache-Control": KEPT})


@get(f"/{ICON}", sync_to_thread=False)
def get_icon() -> Response[bytes]:
    """Return the icon of all pages, which browsers keep as well."""
    return Response(packaged(ICON), media_type="image/svg+xml", headers={"Cache-Control": KEPT})


@functools.cache
def packaged(name: str) -> bytes:
    """Return a file that the pages load."""
    return files(__package__).joinpath(name).read_bytes()


@functools.cache
def _loaded() -> dict[str, str]:
    """Return the URLs of what the pages load, as it is now."""
    return {
        name: f"/sign-in/{file}?{hashlib.sha256(packaged(file)).hexdigest()[:12]}"
        for name, file in (("style", STYLE), ("icon", ICON))
    }


@functools.cache
def environment() -> Environment:
    """Return the templates of the pages, which escape all values."""
    return Environment(
        loader=PackageLoader("pagemill.api.sign_in", "templates"),
        autoescape=select_autoescape(
            default=True, default_for_string=True, enabled_extensions=("html", "j2")
        ),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _html(html: str, status: int, policy: str, cookies: list[Cookie]) -> Response[str]:
    return Response(
        html,
        status_code=status,
        media_type=MediaType.HTML,
        headers={"Content-Security-Policy": policy},
        cookies=cookies,
    )


def _target(url: str) -> str:
    """Return the origin of an app's URL as a source of a policy; nothing when it is not a plain one."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return ""
    return f" {parts.scheme}://{host}" if port is None else f" {parts.scheme}://{host}:{port}"
