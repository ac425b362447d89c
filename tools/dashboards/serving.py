"""Dashboard "Serving": replicas that read pages and find fields."""

from __future__ import annotations

from tools.dashboards.panels import Dashboard, Panel, Query, mean, quantile, quantiles, rate

HITS, MISSES = "ray_pagemill_model_hits_total", "ray_pagemill_model_misses_total"
FAILURES = "ray_pagemill_model_failures_total"

DASHBOARD = Dashboard(
    name="serving",
    title="Serving",
    description="Reading and prediction replicas: pages, batches, models and latency.",
    panels=(
        Panel(
            title="Pages read, by source",
            description="Pages a second. Stored: read before, the words lie beside the document.",
            unit="cps",
            stacked=True,
            queries=(Query(rate("ray_pagemill_pages_read_total", "source"), "{{source}}"),),
        ),
        Panel(
            title="Pages read, by lane",
            description="Pages a second. Interactive ones take the processor from those in the background.",
            unit="cps",
            stacked=True,
            queries=(Query(rate("ray_pagemill_pages_read_total", "lane"), "{{lane}}"),),
        ),
        Panel(
            title="Seconds a page",
            description="Time of a part of a document, divided by its pages.",
            unit="s",
            queries=quantiles("ray_pagemill_page_seconds", "lane"),
        ),
        Panel(
            title="Batches of recognition",
            description="Lines or pictures that go through the network at once.",
            queries=(
                Query(mean("ray_pagemill_recognition_batch_size"), "mean"),
                Query(quantile(0.95, "ray_pagemill_recognition_batch_size"), "95 %"),
            ),
        ),
        Panel(
            title="Batches of prediction",
            description="Documents whose fields are found at once.",
            queries=(
                Query(mean("ray_pagemill_prediction_batch_size"), "mean"),
                Query(quantile(0.95, "ray_pagemill_prediction_batch_size"), "95 %"),
            ),
        ),
        Panel(
            title="Latency of the applications",
            description="Time of a request in a replica, without its wait for one.",
            unit="ms",
            queries=quantiles("ray_serve_deployment_processing_latency_ms", "application"),
        ),
        Panel(
            title="Requests in replicas",
            description="Requests that replicas work on, and requests that wait in callers for a replica.",
            queries=(
                Query("sum by (application) (ray_serve_replica_processing_queries)", "{{application}}"),
                Query(
                    "sum by (application) (ray_serve_deployment_queued_queries)", "{{application}} waiting"
                ),
            ),
        ),
        Panel(
            title="Models found loaded",
            description="Share of predictions whose model was there. Low, with evictions: small caches.",
            unit="percentunit",
            queries=(Query(f"{rate(HITS)} / ({rate(HITS)} + {rate(MISSES)})", "found loaded"),),
        ),
        Panel(
            title="Duration of model loads",
            description="Fetching, verifying and warming up.",
            unit="s",
            queries=quantiles("ray_pagemill_model_load_seconds"),
        ),
        Panel(
            title="Models held",
            description="Models in the memory of all replicas.",
            queries=(Query("sum(ray_pagemill_models)", "models"),),
        ),
        Panel(
            title="Memory of models",
            description="Bytes of the models in the memory of all replicas, or of their GPUs.",
            unit="bytes",
            queries=(Query("sum(ray_pagemill_model_bytes)", "models"),),
        ),
        Panel(
            title="Model loads, evictions and failures",
            description="A second. For failures by class see docs/operations.md, alert ModelLoadsFail.",
            unit="cps",
            queries=(
                Query(rate("ray_pagemill_model_load_seconds_count"), "loads"),
                Query(rate("ray_pagemill_model_evictions_total"), "evictions"),
                Query(rate(FAILURES, "reason"), "{{reason}}", needs="failure"),
            ),
        ),
        Panel(
            title="GPUs",
            description="Use of each GPU; empty without GPUs.",
            unit="percent",
            queries=(
                Query(
                    "sum by (instance, GpuIndex) (ray_node_gpus_utilization)",
                    "{{instance}} {{GpuIndex}}",
                    needs="gpu",
                ),
            ),
        ),
    ),
)
