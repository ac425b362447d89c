"""Litestar's configuration of the OpenAPI document, which is made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from litestar import Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, OpenAPI, SecurityScheme, Server
from litestar.types import Method

from pagemill import __version__
from pagemill.api.openapi.document import Json, complete
from pagemill.api.openapi.parameters import camel
from pagemill.api.openapi.preparation import DOCUMENT
from pagemill.api.openapi.reference_page import ReferencePage, page_policy
from pagemill.api.openapi.texts import read_introduction


@dataclass
class ApiDescription(OpenAPIConfig):
    """Litestar's configuration, whose document is completed before it is served.

    Options of a handler that are read: ``public`` (needs no token), ``form`` (the struct of a form that it
    reads), ``binary_body``, ``binary_answer``, and ``empty_patch`` (accepts ``{}``).
    """

    operations: dict[str, HTTPRouteHandler] = field(default_factory=dict)
    """Handlers by operation id."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.operation_id_creator = self._operation_id
        self.use_handler_docstrings = True

    def _operation_id(self, handler: HTTPRouteHandler, _method: Method, _path: Sequence[object]) -> str:
        name = camel(handler.handler_name)
        count = sum(known.partition(" ")[0] == name for known in self.operations)
        identifier = f"{name} {count}" if count else name
        self.operations[identifier] = handler
        return identifier

    def to_openapi_schema(self) -> OpenAPI:
        """Return the document, which completes itself when it is written."""
        self.operations.clear()
        plain = super().to_openapi_schema()
        members = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
        return _CompletedOpenAPI(**members, complete=lambda document: complete(document, self.operations))


@dataclass
class _CompletedOpenAPI(OpenAPI):
    complete: Callable[[Json], Json] = dict

    @property
    def _exclude_fields(self) -> set[str]:
        return {"complete"}

    def to_schema(self) -> Json:
        """Return the document as it is served."""
        return self.complete(super().to_schema())


def describe_api(public_url: str) -> ApiDescription:
    """Return the configuration: the document at /schema/openapi.json, a page at /schema, for everybody.

    ``public_url`` is the address at which clients reach the API.
    """
    options: dict[str, Any] = {"public": True, DOCUMENT: True}
    return ApiDescription(
        title="Pagemill",
        version=__version__,
        description=read_introduction(),
        openapi_router=Router(
            "/schema",
            route_handlers=[],
            include_in_schema=False,
            opt=options,
            response_headers={"Content-Security-Policy": page_policy()},
        ),
        render_plugins=[ReferencePage(), JsonRenderPlugin()],
        license=License(name="Apache License 2.0", identifier="Apache-2.0"),
        servers=[Server(url=public_url)],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="JWT",
                    description="The `access_token` of `POST /oauth2/token`.",
                ),
                "clientCredentials": SecurityScheme(
                    type="http",
                    scheme="basic",
                    description="The client id and the client secret of an app client.",
                ),
            }
        ),
        security=[{"bearer": []}],
    )
