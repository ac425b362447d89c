"""Dashboard "Overview": tells whether all is well."""

from __future__ import annotations

from tools.dashboards.panels import Dashboard, Panel, Query, largest, quantile, rate

UP = ((0, "away"), (1, "up"))
RED_AT_0 = ((0.0, "red"), (1.0, "green"))
RED_FROM_1 = ((0.0, "green"), (1.0, "red"))
ERRORS = '{status=~"5.."}'

DASHBOARD = Dashboard(
    name="overview",
    title="Overview",
    description="Is it well? Alerts, waits, ages, failures and saturation, on one page.",
    panels=(
        Panel(
            title="Alerts that fire",
            description="docs/operations.md says what each of them means and what to do.",
            kind="stat",
            steps=RED_FROM_1,
            queries=(Query('sum(ALERTS{alertstate="firing", service="pagemill"}) or vector(0)', "alerts"),),
        ),
        Panel(
            title="Version",
            description="Releases that the API and the dispatchers run; two of them while one rolls out.",
            kind="stat",
            show_name=True,
            queries=(
                Query("count by (version) (pagemill_build_info)", "API {{version}}"),
                Query("count by (version) (ray_pagemill_build_info)", "dispatchers {{version}}"),
            ),
        ),
        Panel(
            title="Postgres",
            description="Whether the last question of the API was answered.",
            kind="stat",
            names=UP,
            steps=RED_AT_0,
            queries=(Query("min(pagemill_postgres_up)", "Postgres"),),
        ),
        Panel(
            title="Dispatchers",
            description="Dispatchers that announce themselves in the database, by role.",
            kind="stat",
            steps=RED_AT_0,
            queries=(Query(largest("pagemill_dispatchers", "role"), "{{role}}"),),
        ),
        Panel(
            title="Targets that do not answer",
            description="API processes and Ray nodes that Prometheus cannot scrape.",
            kind="stat",
            steps=RED_FROM_1,
            queries=(Query('count(up{job=~"pagemill-api|ray"} == 0) or vector(0)', "targets"),),
        ),
        Panel(
            title="Free disk",
            description="Share of each volume that is free. Below 10 % an alert fires.",
            unit="percentunit",
            kind="stat",
            steps=((0.0, "red"), (0.1, "orange"), (0.2, "green")),
            queries=(
                Query("min by (volume) (pagemill_disk_free_bytes / pagemill_disk_size_bytes)", "{{volume}}"),
            ),
        ),
        Panel(
            title="Jobs that wait",
            description="Queued jobs that may run now, by kind.",
            stacked=True,
            queries=(Query(largest("pagemill_jobs_waiting", "kind"), "{{kind}}"),),
        ),
        Panel(
            title="Oldest job that waits",
            description="How long the longest waiting job of each kind has waited; 0 when none waits.",
            unit="s",
            queries=(Query(largest("pagemill_oldest_job_age_seconds", "kind"), "{{kind}}"),),
        ),
        Panel(
            title="Jobs that ended",
            description="Jobs a second by outcome. Lost: given up after two workers died with it.",
            unit="cps",
            queries=(Query(rate("ray_pagemill_jobs_ended_total", "outcome"), "{{outcome}}"),),
        ),
        Panel(
            title="Pages read",
            description="Pages a second: interactive of predictions, background of bundles and trainings.",
            unit="cps",
            queries=(Query(rate("ray_pagemill_pages_read_total", "lane"), "{{lane}}"),),
        ),
        Panel(
            title="Wait and duration of predictions",
            description="From queued to begun, and from begun to ended: 95 of 100 predictions were faster.",
            unit="s",
            queries=(
                Query(quantile(0.95, "ray_pagemill_job_wait_seconds", where='{kind="prediction"}'), "wait"),
                Query(quantile(0.95, "ray_pagemill_job_seconds", where='{kind="prediction"}'), "duration"),
            ),
        ),
        Panel(
            title="Requests",
            description="Requests a second, and those that were answered with a status of 500 or above.",
            unit="reqps",
            queries=(
                Query(rate("pagemill_http_requests_total"), "all"),
                Query(f"{rate('pagemill_http_requests_total', where=ERRORS)} or vector(0)", "5xx"),
            ),
        ),
        Panel(
            title="Latency of the API",
            description="Predictions wait for their outcome, unless asynchronous: they are left out here.",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "pagemill_http_request_seconds", where='{route!="/predictions"}'),
                    "95 %",
                ),
            ),
        ),
        Panel(
            title="Saturation",
            description="Use of the Ray nodes' processors, memory and GPUs, and of the API's connections.",
            unit="percent",
            queries=(
                Query("avg(ray_node_cpu_utilization)", "processors"),
                Query("100 * sum(ray_node_mem_used) / sum(ray_node_mem_total)", "memory"),
                Query("avg(ray_node_gpus_utilization)", "GPUs", needs="gpu"),
                Query(
                    '100 * sum(pagemill_postgres_pool_connections{state="used"})'
                    " / sum(pagemill_postgres_pool_connections)",
                    "connections to Postgres",
                ),
            ),
        ),
        Panel(
            title="Replicas",
            description="Replicas that are healthy, by application.",
            queries=(
                Query("sum by (application) (ray_serve_deployment_replica_healthy)", "{{application}}"),
            ),
        ),
    ),
)
