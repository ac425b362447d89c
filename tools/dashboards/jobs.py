"""Dashboard "Jobs and pages": what waits, what runs, and how it ends."""

from __future__ import annotations

from tools.dashboards.panels import WINDOW, Dashboard, Panel, Query, largest, quantile, rate

ENDED = "ray_pagemill_jobs_ended_total"
FAILED, FINAL = '{outcome=~"failed|lost"}', '{outcome!="retried"}'

DASHBOARD = Dashboard(
    name="jobs",
    title="Jobs and pages",
    description="What waits, what runs, how long it takes and how it ends, by kind of job.",
    panels=(
        Panel(
            title="Jobs that wait",
            description="Queued jobs that may run now.",
            stacked=True,
            queries=(Query(largest("pagemill_jobs_waiting", "kind"), "{{kind}}"),),
        ),
        Panel(
            title="Jobs that run",
            description="Claimed jobs whose outcome is not written yet.",
            stacked=True,
            queries=(Query(largest("pagemill_jobs_running", "kind"), "{{kind}}"),),
        ),
        Panel(
            title="Oldest job that waits",
            description="0 when none waits.",
            unit="s",
            queries=(Query(largest("pagemill_oldest_job_age_seconds", "kind"), "{{kind}}"),),
        ),
        Panel(
            title="Pages that wait",
            description="Pages of queued jobs. Interactive ones are of predictions and go first.",
            stacked=True,
            queries=(Query(largest("pagemill_pages_waiting", "priority"), "{{priority}}"),),
        ),
        Panel(
            title="Pages read",
            description="Pages a second, by how their words were found.",
            unit="cps",
            stacked=True,
            queries=(Query(rate("ray_pagemill_pages_read_total", "source"), "{{source}}"),),
        ),
        Panel(
            title="Dispatchers",
            description="Dispatchers that announce themselves, by role. Jobs of a role without one wait.",
            queries=(Query(largest("pagemill_dispatchers", "role"), "{{role}}"),),
        ),
        Panel(
            title="Jobs that ended, by kind",
            description="Jobs a second that succeeded.",
            unit="cps",
            queries=(Query(rate(ENDED, "kind", where='{outcome="succeeded"}'), "{{kind}}"),),
        ),
        Panel(
            title="Jobs that did not succeed",
            description="Jobs a second that failed, were cancelled, lost or tried again, by kind.",
            unit="cps",
            queries=(
                Query(
                    rate(ENDED, "kind", "outcome", where='{outcome!="succeeded"}'),
                    "{{kind}} {{outcome}}",
                    needs="failure",
                ),
            ),
        ),
        Panel(
            title="Share that failed",
            description="Of the jobs that ended, by kind. Bad documents count too: customers were told.",
            unit="percentunit",
            queries=(
                Query(
                    f"({rate(ENDED, 'kind', where=FAILED)} or 0 * {rate(ENDED, 'kind', where=FINAL)})"
                    f" / {rate(ENDED, 'kind', where=FINAL)}",
                    "{{kind}}",
                ),
            ),
        ),
        Panel(
            title="Wait, median",
            description="From queued, or due, to claimed.",
            unit="s",
            queries=(Query(quantile(0.5, "ray_pagemill_job_wait_seconds", "kind"), "{{kind}}"),),
        ),
        Panel(
            title="Wait, 95th percentile",
            description="From queued, or due, to claimed: 95 of 100 waited less.",
            unit="s",
            queries=(Query(quantile(0.95, "ray_pagemill_job_wait_seconds", "kind"), "{{kind}}"),),
        ),
        Panel(
            title="Duration, median",
            description="From claimed to ended.",
            unit="s",
            queries=(Query(quantile(0.5, "ray_pagemill_job_seconds", "kind"), "{{kind}}"),),
        ),
        Panel(
            title="Duration, 95th percentile",
            description="From claimed to ended: 95 of 100 took less.",
            unit="s",
            queries=(Query(quantile(0.95, "ray_pagemill_job_seconds", "kind"), "{{kind}}"),),
        ),
        Panel(
            title="Executions of workflows",
            description="Executions that have not ended. Those in retry wait until somebody continues them.",
            stacked=True,
            queries=(Query(largest("pagemill_workflow_executions", "status"), "{{status}}"),),
        ),
        Panel(
            title="Steps that wait for people",
            description="Steps of manual transitions that nobody has claimed.",
            queries=(Query(largest("pagemill_manual_steps_waiting"), "steps"),),
        ),
        Panel(
            title="Oldest step that waits for people",
            description="0 when none waits.",
            unit="s",
            queries=(Query(largest("pagemill_oldest_manual_step_age_seconds"), "oldest"),),
        ),
        Panel(
            title="Steps that ended",
            description="Steps of workflows a second, by type and outcome.",
            unit="cps",
            queries=(
                Query(
                    f"max by (type, outcome) (rate(pagemill_steps_ended_total[{WINDOW}]))",
                    "{{type}} {{outcome}}",
                ),
            ),
        ),
    ),
)
