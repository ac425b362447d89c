"""Dashboard "Usage and trainings": reservations, waits for nodes, GPU time."""

from __future__ import annotations

from tools.dashboards.panels import Dashboard, Panel, Query, largest, quantiles, quantiles_since_start, rate

TRAINING = '{kind="training"}'
BUNDLE = '{kind="data-bundle"}'

DASHBOARD = Dashboard(
    name="usage",
    title="Usage and trainings",
    description="Reservations against plans, trainings and bundles, and the GPU time of trainings.",
    panels=(
        Panel(
            title="Reservations",
            description="Reservations of usage a second. Refused: the plan is used up.",
            unit="cps",
            stacked=True,
            queries=(Query(rate("ray_pagemill_reservations_total", "outcome"), "{{outcome}}"),),
        ),
        Panel(
            title="Latency of reservations",
            description="Of a batch, from call to commit.",
            unit="s",
            queries=quantiles("ray_pagemill_reservation_seconds"),
        ),
        Panel(
            title="Batches of reservations",
            description="Commits a second, and reservations in each of them.",
            queries=(
                Query(rate("ray_pagemill_reservation_seconds_count"), "commits a second"),
                Query(
                    f"{rate('ray_pagemill_reservations_total')}"
                    f" / {rate('ray_pagemill_reservation_seconds_count')}",
                    "reservations a commit",
                ),
            ),
        ),
        Panel(
            title="Trainings and bundles",
            description="That wait in the queue, and that run. Those that wait for a node run already.",
            queries=(
                Query(
                    largest("pagemill_jobs_waiting", "kind", where='{kind=~"training|data-bundle"}'),
                    "{{kind}} waiting",
                ),
                Query(
                    largest("pagemill_jobs_running", "kind", where='{kind=~"training|data-bundle"}'),
                    "{{kind}} running",
                ),
            ),
        ),
        Panel(
            title="Wait of trainings for a node",
            description="From the start of a training until its workers have their node. Since Ray started.",
            unit="s",
            queries=quantiles_since_start("ray_pagemill_training_wait_seconds"),
        ),
        Panel(
            title="Duration of trainings",
            description="From claimed to ended, with the wait for a node. Since Ray started.",
            unit="s",
            queries=quantiles_since_start("ray_pagemill_job_seconds", TRAINING),
        ),
        Panel(
            title="Duration of data bundles",
            description="From claimed to ended. Since Ray started.",
            unit="s",
            queries=quantiles_since_start("ray_pagemill_job_seconds", BUNDLE),
        ),
        Panel(
            title="Trainings that ended",
            description="By outcome. Since Ray started.",
            queries=(Query(f"sum by (outcome) (ray_pagemill_jobs_ended_total{TRAINING})", "{{outcome}}"),),
        ),
        Panel(
            title="GPU time of trainings",
            description="Hours, counted when trainings end. Since Ray started; empty without GPUs.",
            unit="h",
            queries=(Query("sum(ray_pagemill_gpu_seconds_total) / 3600", "GPU hours", needs="gpu"),),
        ),
    ),
)
