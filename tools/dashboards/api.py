"""Dashboard "API": requests, errors, latency, and what the processes stand on."""

from __future__ import annotations

from tools.dashboards.panels import Dashboard, Panel, Query, quantile, quantiles, rate

REQUESTS = "pagemill_http_requests_total"
SECONDS = "pagemill_http_request_seconds"
ERRORS = '{status=~"5.."}'
LAG = "pagemill_event_loop_lag_seconds"

DASHBOARD = Dashboard(
    name="api",
    title="API",
    description="Requests, errors and latency by route, the event loop and the connections to Postgres.",
    panels=(
        Panel(
            title="Requests, by route",
            description="Requests a second.",
            unit="reqps",
            queries=(Query(rate(REQUESTS, "method", "route"), "{{method}} {{route}}"),),
        ),
        Panel(
            title="Requests, by status",
            description="Requests a second.",
            unit="reqps",
            stacked=True,
            queries=(Query(rate(REQUESTS, "status"), "{{status}}"),),
        ),
        Panel(
            title="Share of errors",
            description="Answers with a status of 500 or above, of all. Above 5 % an alert fires.",
            unit="percentunit",
            queries=(Query(f"({rate(REQUESTS, where=ERRORS)} or vector(0)) / {rate(REQUESTS)}", "5xx"),),
        ),
        Panel(
            title="Errors, by route",
            description="Answers a second with a status of 500 or above.",
            unit="reqps",
            queries=(
                Query(
                    rate(REQUESTS, "method", "route", "status", where=ERRORS),
                    "{{method}} {{route}} {{status}}",
                    needs="failure",
                ),
            ),
        ),
        Panel(
            title="Latency",
            description="Until an answer is sent. Predictions wait for their outcome: they are left out.",
            unit="s",
            queries=(
                *quantiles(SECONDS, where='{route!="/predictions"}'),
                Query(quantile(0.99, SECONDS, where='{route!="/predictions"}'), "99 %"),
            ),
        ),
        Panel(
            title="Latency, by route",
            description="95 of 100 answers were faster.",
            unit="s",
            queries=(Query(quantile(0.95, SECONDS, "method", "route"), "{{method}} {{route}}"),),
        ),
        Panel(
            title="Latency of predictions",
            description="Synchronous predictions, with their wait for the outcome.",
            unit="s",
            queries=quantiles(SECONDS, where='{method="POST", route="/predictions"}'),
        ),
        Panel(
            title="Requests in flight",
            description="Requests that are being answered, among them predictions that are waited for.",
            queries=(Query("sum(pagemill_http_requests_in_flight)", "requests"),),
        ),
        Panel(
            title="Lag of the event loop",
            description="How late the loop runs what is due: something blocks it when this is high.",
            unit="s",
            queries=(
                Query(quantile(0.5, LAG), "50 %"),
                Query(quantile(0.99, LAG), "99 %"),
            ),
        ),
        Panel(
            title="Connections to Postgres",
            description="Of all API processes. None idle for long: requests wait for one.",
            stacked=True,
            queries=(Query("sum by (state) (pagemill_postgres_pool_connections)", "{{state}}"),),
        ),
        Panel(
            title="Postgres",
            description="1 when the last question of an API process was answered.",
            queries=(Query("min by (instance) (pagemill_postgres_up)", "{{instance}}"),),
        ),
        Panel(
            title="Processes",
            description="API listeners that Prometheus can scrape.",
            queries=(Query('sum(up{job="pagemill-api"})', "answer"),),
        ),
    ),
)
