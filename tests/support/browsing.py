"""A browser without script, for the pages on which people sign in: it fills in forms and sends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import httpx
from litestar import Litestar

ORIGIN = "https://localhost"
MOST_REDIRECTS = 10


@dataclass(slots=True)
class Form:
    """A form; ``fields`` has what its inputs are filled in with, ``buttons`` what named buttons send."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self.text: list[str] = []
        self.alerts: list[str] = []
        self._link: str | None = None
        self._alert = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("method", "get"), given["action"]))
        elif tag == "input" and self.forms:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
            if "required" in given:
                self.forms[-1].required.add(given["name"])
        elif tag == "button" and "name" in given:
            self.forms[-1].buttons.append((given["name"], given["value"]))
        elif tag == "a":
            self._link = given["href"]
        self._alert = self._alert or given.get("role") == "alert"

    def handle_endtag(self, tag: str) -> None:
        self._link = None if tag == "a" else self._link
        self._alert = self._alert and tag != "p"

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text and self._link is not None:
            self.links[text] = self._link
        if text and self._alert:
            self.alerts.append(text)
        self.text.append(text)


@dataclass(frozen=True, slots=True)
class Page:
    """What a browser shows, or the URL of another site that it was sent to (``left_for``)."""

    status: int
    path: str
    html: str
    headers: httpx.Headers
    forms: list[Form]
    links: Mapping[str, str]
    text: str
    alert: str
    left_for: str = ""

    @property
    def sent(self) -> dict[str, str]:
        """The parameters of the URL that the browser left for."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.left_for).query).items()}


class Browser:
    """A browser with cookies of its own. It follows redirects, but never to another site."""

    def __init__(self, app: Litestar, *, address: str = "192.0.2.7") -> None:
        transport = httpx.ASGITransport(app=app, client=(address, 4711), raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url=ORIGIN)

    async def open(self, url: str) -> Page:
        """Open a page of ours."""
        return await self._follow(await self.client.get(url))

    async def submit(self, page: Page, number: int = 0, *, button: int | None = None, **filled: str) -> Page:
        """Fill in a form of a page and send it, with its own fields; ``button`` is one of its named ones."""
        form = page.forms[number]
        assert set(filled) <= set(form.fields), form.fields
        fields = form.fields | filled
        if button is not None:
            fields |= dict([form.buttons[button]])
        return await self._follow(await self.client.post(form.action, data=fields))

    async def _follow(self, response: httpx.Response) -> Page:
        for _ in range(MOST_REDIRECTS):
            if not response.has_redirect_location:
                return _page(response)
            location = response.headers["location"]
            url = str(response.url.join(location))
            if not url.startswith((f"{ORIGIN}/", f"{ORIGIN}:8443/")):
                return _page(response, left_for=url)
            assert response.status_code == 303
            parts = urlsplit(url)
            response = await self.client.get(f"{parts.path}?{parts.query}" if parts.query else parts.path)
        raise AssertionError("the pages send the browser in circles")

    async def close(self) -> None:
        await self.client.aclose()


def forms_of(html: str) -> list[Form]:
    """The forms of a page."""
    reader = _Reader()
    reader.feed(html)
    return reader.forms


def _page(response: httpx.Response, *, left_for: str = "") -> Page:
    reader = _Reader()
    html = response.text if "html" in response.headers.get("content-type", "") else ""
    reader.feed(html)
    return Page(
        response.status_code,
        response.url.path,
        html,
        response.headers,
        reader.forms,
        reader.links,
        " ".join(text for text in reader.text if text),
        " ".join(reader.alerts),
        left_for,
    )
