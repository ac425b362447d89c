"""The API's composition root. ``granian --interface asgi --factory pagemill.api.app:create_app``."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from litestar import Litestar, Response, Router, get
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.types import ASGIApp

from db.pool import create_pool
from pagemill import __version__
from pagemill.api.auth.authorize import authorize, log_out
from pagemill.api.auth.discovery import openid_configuration, public_keys
from pagemill.api.auth.guard import provide_caller, provide_permissions, require_caller
from pagemill.api.auth.oauth import create_token
from pagemill.api.auth.signing_keys import SigningKeys
from pagemill.api.auth.token_throttle import TokenThrottle
from pagemill.api.auth.tokens import AccessTokens, check_token_key
from pagemill.api.http.access_log import access_log
from pagemill.api.http.allowed_methods import answer_options
from pagemill.api.http.app_state import AppState, state_of
from pagemill.api.http.auditing import audit_middleware, provide_audited
from pagemill.api.http.client_address import read_proxies
from pagemill.api.http.connection_bounds import bounded_connections
from pagemill.api.http.connections import provide_connection, release_middleware
from pagemill.api.http.error_responses import EXCEPTION_HANDLERS
from pagemill.api.http.idempotency import HEADER as IDEMPOTENCY_KEY
from pagemill.api.http.idempotency import REPLAYED, claim_key, idempotency_middleware
from pagemill.api.http.litestar_tuning import (
    check_before_request,
    pass_request_unparsed,
    resolve_dependencies_in_order,
    skip_cors_without_origin,
)
from pagemill.api.http.paging import provide_page
from pagemill.api.http.query_parameters import refuse_null_parameters
from pagemill.api.http.request_bodies import BODY_BYTES, JsonRequest, require_json
from pagemill.api.http.request_checks import check_request
from pagemill.api.http.request_draining import BodyPace, drain_middleware
from pagemill.api.http.request_ids import HEADER as REQUEST_ID
from pagemill.api.http.request_ids import request_id_middleware
from pagemill.api.http.requests import ApiRequest
from pagemill.api.http.route_options import CONNECTION, check_route_options
from pagemill.api.http.security_headers import SecurityHeaders
from pagemill.api.http.tracing import HEADER as TRACE_RESPONSE
from pagemill.api.http.tracing import tracing_middleware
from pagemill.api.metrics.api_metrics import ApiMetrics
from pagemill.api.metrics.loop_watch import watching_loop
from pagemill.api.openapi.configuration import describe_api
from pagemill.api.openapi.preparation import DOCUMENT, prepare_document
from pagemill.api.resources.app_clients import AppClientController
from pagemill.api.resources.assets import AssetController
from pagemill.api.resources.audit_events import AuditEventController
from pagemill.api.resources.claims import ClaimController
from pagemill.api.resources.data_bundles import DataBundleController
from pagemill.api.resources.datasets import DatasetController
from pagemill.api.resources.deployment_environments import DeploymentEnvironmentController
from pagemill.api.resources.documents import DocumentController
from pagemill.api.resources.files import FileController
from pagemill.api.resources.logs import LogController
from pagemill.api.resources.models import ModelController
from pagemill.api.resources.organizations import OrganizationController
from pagemill.api.resources.payment_methods import PaymentMethodController
from pagemill.api.resources.plans import PlanController
from pagemill.api.resources.predictions import PredictionController
from pagemill.api.resources.profiles import ProfileController
from pagemill.api.resources.roles import RoleController
from pagemill.api.resources.secrets import SecretController
from pagemill.api.resources.trainings import TrainingController
from pagemill.api.resources.transformations import TransformationController
from pagemill.api.resources.transition_executions import TransitionExecutionController
from pagemill.api.resources.transitions import TransitionController
from pagemill.api.resources.users import UserController
from pagemill.api.resources.webhooks import WebhookController
from pagemill.api.resources.workflow_executions import WorkflowExecutionController
from pagemill.api.resources.workflows import WorkflowController
from pagemill.api.sign_in.openid.configuration import read_providers
from pagemill.api.sign_in.routes import sign_in_router
from pagemill.api.sign_in.services import open_sign_in
from pagemill.audit.refusals import Refusals
from pagemill.documents.thumbnails.cache import ThumbnailCache
from pagemill.documents.thumbnails.renderer import Renderer
from pagemill.jobs.admission import open_admission
from pagemill.jobs.waiting import JobListener
from pagemill.logging_setup import configure_logging
from pagemill.objects import open_objects
from pagemill.payments import check_stripe, open_setup_intents
from pagemill.people.grants import RefreshTokens
from pagemill.sandbox.concealment import conceal_this_process
from pagemill.secret_box import SecretBox, open_secret_box
from pagemill.settings import Settings, load_settings
from pagemill.tracing.configuration import close_tracing, configure_tracing
from pagemill.tracing.context import PARENT, STATE
from pagemill.tracing.sampling import RequestSampler
from pagemill.usage.request_rate import open_request_rate
from pagemill.work.predictions import PREDICTION
from pagemill.workflows.execution_starts import ExecutionStarts

CONTROLLERS = [
    AppClientController,
    AssetController,
    AuditEventController,
    ClaimController,
    DataBundleController,
    DatasetController,
    DeploymentEnvironmentController,
    DocumentController,
    FileController,
    LogController,
    ModelController,
    OrganizationController,
    PaymentMethodController,
    PlanController,
    PredictionController,
    ProfileController,
    RoleController,
    SecretController,
    TrainingController,
    TransformationController,
    TransitionController,
    TransitionExecutionController,
    UserController,
    WebhookController,
    WorkflowController,
    WorkflowExecutionController,
]


AUTHORIZATION_SERVER = [authorize, create_token, log_out, openid_configuration, public_keys]
"""Routes by which people sign in and programs get tokens."""


@get("/health", public=True, include_in_schema=False)
async def health() -> dict[str, str]:
    """Report that this process answers, and its version; the database is not asked."""
    return {"status": "ok", "version": __version__}


async def before_handler(request: ApiRequest) -> Response[Any] | None:
    """Check a request before its handler runs, and claim its idempotency key.

    Returns the response when there is no need for the handler.
    """
    check_request(request)
    if request.method == "OPTIONS":
        return answer_options(request)
    await require_caller(request)
    if request.route_handler.opt.get(DOCUMENT):
        await prepare_document(request.app)
    refuse_null_parameters(request)
    require_json(request)
    return await claim_key(request)


def provide_app_state(request: ApiRequest) -> AppState:
    """Return the application's state."""
    return state_of(request)


@contextlib.asynccontextmanager
async def open_state(settings: Settings, secret_box: SecretBox) -> AsyncIterator[AppState]:
    """Open connections, object storage, listener and caches; close them at the end."""
    conceal_this_process()
    async with contextlib.AsyncExitStack() as stack:
        configure_tracing(settings, "api")
        stack.push_async_callback(asyncio.to_thread, close_tracing)
        stack.callback(access_log.write)
        pool = await create_pool(
            settings.database_url, size=settings.database_pool_size, application_name="pagemill-api"
        )
        stack.push_async_callback(pool.close)
        objects = open_objects(settings)
        stack.push_async_callback(objects.close)
        setup_intents = open_setup_intents(settings)
        stack.push_async_callback(setup_intents.close)
        listener = JobListener(pool)
        await listener.start()
        stack.push_async_callback(listener.close)
        sign_in = open_sign_in(settings)
        stack.callback(sign_in.close)
        renderer = Renderer(concurrency=settings.thumbnail_concurrency, strict=settings.sandbox == "required")
        thumbnails = ThumbnailCache(pool, objects, renderer)
        stack.push_async_callback(thumbnails.close)
        execution_starts = ExecutionStarts(
            pool, development_allowance=settings.development_workflow_executions
        )
        stack.push_async_callback(execution_starts.close)
        yield AppState(
            settings,
            pool,
            objects,
            listener,
            secret_box,
            setup_intents,
            open_request_rate(pool, settings),
            thumbnails,
            open_admission(pool, PREDICTION, settings, longest_wait=settings.prediction_queue_wait_max),
            TokenThrottle(settings.token_rate),
            AccessTokens(SigningKeys(pool, secret_box, settings), settings),
            RefreshTokens(settings.token_key),
            sign_in,
            await stack.enter_async_context(Refusals(pool).writing()),
            execution_starts,
            read_proxies(settings.trusted_proxies),
        )


def create_app(settings: Settings | None = None) -> Litestar:
    """Create the application, with settings from the environment unless given.

    Raises SettingsError, and RuntimeError for a route that does not say how it uses the database.
    """
    settings = settings or load_settings(os.environ)
    check_token_key(settings)
    check_stripe(settings)
    read_providers(settings)
    trusted = read_proxies(settings.trusted_proxies)
    secret_box = open_secret_box(settings)
    configure_logging(settings.log_level)

    @contextlib.asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with (
            open_state(settings, secret_box) as app.state.pagemill,
            metrics.running(app.state.pagemill.pool) if metrics else contextlib.nullcontext(),
            watching_loop(),
            bounded_connections(settings.address_connections, trusted),
        ):
            yield

    app = Litestar(
        route_handlers=[
            *AUTHORIZATION_SERVER,
            health,
            sign_in_router(),
            Router("/v1", route_handlers=CONTROLLERS),
        ],
        lifespan=[lifespan],
        before_request=before_handler,
        dependencies={
            "app_state": Provide(provide_app_state, sync_to_thread=False),
            "audited": Provide(provide_audited, sync_to_thread=False),
            "caller": Provide(provide_caller, sync_to_thread=False),
            CONNECTION: Provide(provide_connection),
            "page": Provide(provide_page, sync_to_thread=False),
            "permissions": Provide(provide_permissions, sync_to_thread=False),
        },
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=CORSConfig(
            allow_origins=["*"],
            allow_methods=["GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "If-None-Match",
                "Range",
                REQUEST_ID,
                IDEMPOTENCY_KEY,
                PARENT,
                STATE,
            ],
            expose_headers=[REQUEST_ID, REPLAYED, TRACE_RESPONSE, "ETag", "Content-Range", "Retry-After"],
        ),
        openapi_config=describe_api(settings.public_url),
        request_class=JsonRequest,
        request_max_body_size=BODY_BYTES,
        logging_config=None,
        debug=False,
    )
    check_before_request(app, before_handler)
    check_route_options(app)
    resolve_dependencies_in_order(app)
    pass_request_unparsed(app)
    skip_cors_without_origin(app)
    metrics = ApiMetrics(app, settings) if settings.metrics_port else None
    app.asgi_handler = _around(app.asgi_handler, settings, metrics)
    return app


def _around(app: ASGIApp, settings: Settings, metrics: ApiMetrics | None) -> ASGIApp:
    """Return the application in its middleware. Litestar's own does not see requests without a route."""
    app = idempotency_middleware(release_middleware(audit_middleware(app)))
    app = drain_middleware(app, BodyPace(settings.request_body_wait, settings.request_body_rate))
    app = request_id_middleware(
        app,
        metrics.requests if metrics else None,
        headers=SecurityHeaders(encrypted=settings.public_url.startswith("https://")),
        trusted_proxies=read_proxies(settings.trusted_proxies),
    )
    if settings.traces_url:
        sampler = RequestSampler(share=settings.traces_share, client_rate=settings.traces_client_rate)
        app = tracing_middleware(app, sampler)
    return app
