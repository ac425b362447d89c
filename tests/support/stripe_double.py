"""Stripe's SetupIntents on a local port: it checks how it is asked, and answers as Stripe does."""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

SECRET_KEY = "sk_test_double"
PUBLISHABLE_KEY = "pk_test_double"
CARD = {"brand": "visa", "last4": "4242", "exp_month": 8, "exp_year": 2030, "fingerprint": "Xt5"}
HOLD_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class StripeRequest:
    """What was asked; ``values`` are those of the form, or of the query."""

    method: str
    path: str
    values: dict[str, str]
    idempotency_key: str | None


@dataclass
class StripeDouble:
    """``refusals`` are answered first, one for each request."""

    url: str = ""
    requests: list[StripeRequest] = field(default_factory=list)
    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    answers: threading.Event = field(default_factory=threading.Event)
    """Cleared, nothing is answered until it is set."""
    asked: threading.Event = field(default_factory=threading.Event)
    """Set with each request."""
    _created: dict[str, str] = field(default_factory=dict)

    def succeed(self, intent_id: str) -> str:
        """As if the browser had given a card; the id of the payment method at Stripe."""
        payment_method_id = f"pm_{uuid.uuid4().hex}"
        self.intents[intent_id] |= {
            "status": "succeeded",
            "payment_method": {
                "id": payment_method_id,
                "object": "payment_method",
                "type": "card",
                "card": CARD,
            },
        }
        return payment_method_id

    def answer(self, request: StripeRequest, authorization: str | None) -> tuple[int, dict[str, Any]]:
        """Status and body."""
        self.requests.append(request)
        self.asked.set()
        self.answers.wait(HOLD_SECONDS)
        if authorization != f"Bearer {SECRET_KEY}":
            return 401, _error("invalid_request_error", f"Invalid API Key provided: {authorization}")
        if self.refusals:
            return self.refusals.pop(0)
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["v1", "setup_intents"]:
                return 200, self._create(request)
            case "GET", ["v1", "setup_intents", intent_id] if intent_id in self.intents:
                return 200, self._shown(intent_id, expanded="payment_method" in request.values.values())
            case "POST", ["v1", "setup_intents", intent_id, "cancel"] if intent_id in self.intents:
                self.intents[intent_id]["status"] = "canceled"
                return 200, self._shown(intent_id, expanded=False)
        return 404, _error("invalid_request_error", "No such setupintent", code="resource_missing")

    def _create(self, request: StripeRequest) -> dict[str, Any]:
        assert request.idempotency_key, "a repeated request would make a second intent"
        intent_id = self._created.setdefault(request.idempotency_key, f"seti_{uuid.uuid4().hex}")
        self.intents.setdefault(
            intent_id,
            {
                "id": intent_id,
                "object": "setup_intent",
                "client_secret": f"{intent_id}_secret_{uuid.uuid4().hex}",
                "status": "requires_payment_method",
                "payment_method": None,
                "metadata": {
                    name.removeprefix("metadata[").removesuffix("]"): value
                    for name, value in request.values.items()
                    if name.startswith("metadata[")
                },
            },
        )
        return self._shown(intent_id, expanded=False)

    def _shown(self, intent_id: str, *, expanded: bool) -> dict[str, Any]:
        intent = dict(self.intents[intent_id])
        if not expanded and intent["payment_method"] is not None:
            intent["payment_method"] = intent["payment_method"]["id"]
        return intent


def _error(kind: str, message: str, **more: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message, **more}}


def refusal(status: int, kind: str, message: str, **more: str) -> tuple[int, dict[str, Any]]:
    """An answer for ``refusals``."""
    return status, _error(kind, message, **more)


@contextlib.contextmanager
def stripe_double() -> Iterator[StripeDouble]:
    """A running double."""
    double = StripeDouble()
    double.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            request = StripeRequest(
                self.command,
                parts.path,
                dict(parse_qsl(body or parts.query, strict_parsing=bool(body))),
                self.headers.get("Idempotency-Key"),
            )
            status, content = double.answer(request, self.headers.get("Authorization"))
            encoded = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.send_header("Request-Id", f"req_{uuid.uuid4().hex[:14]}")
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield double
    finally:
        double.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()
