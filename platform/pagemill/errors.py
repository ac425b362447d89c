"""Errors of Pagemill: one root class, and the HTTP status on each class.

``message`` is what the client reads. Official clients compare some messages exactly
("Forbidden", "Limit Exceeded", "Too Many Requests"), so those are fixed and details go in ``detail``.
"""

from __future__ import annotations

from typing import Any


class PagemillError(Exception):
    """Root of all errors that Pagemill raises on purpose."""

    status = 500
    retryable = False

    def __init__(self, message: str = "Internal Server Error", *, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail

    def __reduce__(self) -> tuple[type[PagemillError], tuple[str], dict[str, Any]]:
        # Errors travel between Ray processes: pickle them by their message, not by BaseException.args.
        return (type(self), (self.message,), {"detail": self.detail})


class BadRequest(PagemillError):
    """The request cannot be fulfilled as sent; the message names the field."""

    status = 400


class ProtocolRefused(BadRequest):
    """The authorization server refuses a request; ``message`` is OAuth's word for why."""


class DocumentUnreadable(BadRequest):
    """The document cannot be read: it is damaged, encrypted, too large or of an unknown type."""


class Forbidden(PagemillError):
    """The token is missing, invalid, expired or without permission. Clients look for exactly "Forbidden"."""

    status = 403

    def __init__(self, message: str = "Forbidden", *, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)


class NotFound(PagemillError):
    """The organization has no such resource; foreign and unknown ids get the same answer, byte for byte."""

    status = 404


class RequestTimedOut(PagemillError):
    """The body comes too slowly, or not at all; its connection is closed."""

    status = 408

    def __init__(self, message: str = "Request Timeout", *, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)


class UnsupportedMediaType(PagemillError):
    """The request body is not JSON."""

    status = 415


class LimitExceeded(PagemillError):
    """The plan's limit is reached; retrying does not help. Clients look for exactly "Limit Exceeded"."""

    status = 429

    def __init__(self, message: str = "Limit Exceeded", *, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)


class TooManyRequests(PagemillError):
    """The organization sends requests too fast. Clients look for exactly "Too Many Requests"."""

    status = 429
    retryable = True

    def __init__(
        self, message: str = "Too Many Requests", *, detail: str | None = None, retry_after_seconds: int = 1
    ) -> None:
        super().__init__(message, detail=detail)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(PagemillError):
    """A part of the platform is not available at the moment; the request may be repeated."""

    status = 503
    retryable = True
    retry_after_seconds = 5


class QueueFull(Unavailable):
    """Too many jobs are waiting; the request may be repeated later."""

    def __init__(
        self,
        message: str = "Too much waits to be done; try again later",
        *,
        detail: str | None = None,
        retry_after_seconds: int = 5,
    ) -> None:
        super().__init__(message, detail=detail)
        self.retry_after_seconds = retry_after_seconds


class ModelUnusable(PagemillError):
    """The weights of a training cannot be used; each way has a class, which the job's row names."""


class ModelMissing(ModelUnusable):
    """The weights are not in object storage any more."""


class ModelDamaged(ModelUnusable):
    """The weights, or what belongs to them, are not what the training wrote."""


class ModelTooLarge(ModelUnusable):
    """The weights need more memory than a replica may hold models in."""


class ModelTooNew(ModelUnusable):
    """A later release wrote the weights. While a release rolls out, another replica may know them."""

    retryable = True
