"""Traces of requests: one span for each, in the trace of its client or in a new one."""

from __future__ import annotations

import functools

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from pagemill.api.openapi.parameters import path_of
from pagemill.tracing.context import sent_context
from pagemill.tracing.sampling import RequestSampler
from pagemill.tracing.spans import SpanHandle, active_context, begin_trace

HEADER = "traceresponse"
"""Header of an answer that tells where its trace is: https://w3c.github.io/trace-context/#traceresponse-header."""
HEALTH = "/health"
"""Path that load balancers ask for all the time."""
KNOWN_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "HEAD")
OTHER_METHOD = "_OTHER"


def tracing_middleware(app: ASGIApp, sampler: RequestSampler) -> ASGIApp:
    """Record the requests that the sampler takes."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["path"] == HEALTH:
            await app(scope, receive, send)
            return
        parent = sent_context(scope["headers"])
        if not sampler.takes(parent):
            await app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in KNOWN_METHODS else OTHER_METHOD
        with begin_trace(method, parent) as span:
            place = active_context()

            async def send_traced(message: Message) -> None:
                if message["type"] == "http.response.start" and place is not None:
                    span.set({"http.response.status_code": message["status"]})
                    if message["status"] >= 500:
                        span.fail(str(message["status"]))
                    message["headers"] = [*message["headers"], (HEADER.encode(), place.parent.encode())]
                await send(message)

            try:
                await app(scope, receive, send_traced)
            finally:
                _describe(span, method, scope)

    return middleware


_route_of = functools.lru_cache(maxsize=512)(path_of)


def _describe(span: SpanHandle, method: str, scope: HTTPScope) -> None:
    """Tell the span what the request has turned out to be."""
    span.set({"http.request.method": method})
    # Without a route the path is whatever a stranger has sent.
    if template := scope.get("path_template"):
        route = _route_of(template)
        span.rename(f"{method} {route}")
        span.set({"http.route": route})
    caller = scope["state"].get("caller")
    if caller is not None:
        span.set({"pagemill.organization.id": caller.organization_id})
