"""Dashboard "Scaling": replicas, and the nodes below them."""

from __future__ import annotations

from tools.dashboards.panels import Dashboard, Panel, Query, largest

DASHBOARD = Dashboard(
    name="scaling",
    title="Scaling",
    description="Replicas that are wanted and run, why, and the nodes that Ray has for them.",
    panels=(
        Panel(
            title="Replicas",
            description="Ordered by the policy, and healthy. A gap that stays: replicas find no node.",
            queries=(
                Query(
                    "max by (application) (ray_pagemill_scaling_replicas_wanted)", "{{application}} wanted"
                ),
                Query(
                    "sum by (application) (ray_serve_deployment_replica_healthy)", "{{application}} running"
                ),
            ),
        ),
        Panel(
            title="Reason of the number of replicas",
            description="What decided how many replicas each application has.",
            kind="state-timeline",
            names=((1, "decides"),),
            queries=(
                Query(
                    "max by (application, reason) (ray_pagemill_scaling_decision) == 1",
                    "{{application}}: {{reason}}",
                ),
            ),
        ),
        Panel(
            title="Pages that wait",
            description="As each application's policy sees them.",
            queries=(
                Query("max by (application) (ray_pagemill_scaling_waiting_pages)", "{{application}}"),
                Query(largest("pagemill_pages_waiting", "priority"), "{{priority}}, seen by the API"),
            ),
        ),
        Panel(
            title="Age of the signal",
            description="Age of the database's last answer; -1 before the first. Above 15 s an alert fires.",
            unit="s",
            queries=(
                Query("max by (application) (ray_pagemill_scaling_figures_age_seconds)", "{{application}}"),
            ),
        ),
        Panel(
            title="Faults of the policy",
            description="1 while the policy makes no decision and the replicas stay as they are.",
            queries=(Query("max by (application) (ray_pagemill_scaling_fault)", "{{application}}"),),
        ),
        Panel(
            title="State of the applications",
            description="Of Ray Serve. Below running for long: replicas do not start.",
            names=(
                *((0, "unknown"), (1, "deployment failed"), (2, "unhealthy"), (3, "not started")),
                *((4, "deleting"), (5, "deploying"), (6, "running")),
            ),
            queries=(Query("min by (application) (ray_serve_application_status)", "{{application}}"),),
        ),
        Panel(
            title="Nodes",
            description="Ray nodes that are scraped, by type.",
            queries=(Query("count by (RayNodeType) (ray_node_cpu_count)", "{{RayNodeType}}"),),
        ),
        Panel(
            title="Nodes of the autoscaler",
            description="Active, starting and lately failed ones; empty without an autoscaler.",
            queries=(
                Query(
                    "sum by (NodeType) (autoscaler_active_nodes)", "{{NodeType}} active", needs="autoscaler"
                ),
                Query(
                    "sum by (NodeType) (autoscaler_pending_nodes)",
                    "{{NodeType}} starting",
                    needs="autoscaler",
                ),
                Query(
                    "sum by (NodeType) (autoscaler_recently_failed_nodes)",
                    "{{NodeType}} failed",
                    needs="autoscaler",
                ),
            ),
        ),
        Panel(
            title="CPUs of Ray",
            description="CPUs that Ray has given away, and all that it has. It counts, it does not measure.",
            queries=(
                Query('sum(ray_resources{Name="CPU", State="USED"})', "used"),
                Query('sum(ray_resources{Name="CPU"})', "all"),
            ),
        ),
        Panel(
            title="GPUs of Ray",
            description="GPUs that Ray has given away, and all that it has; empty without GPUs.",
            queries=(
                Query('sum(ray_resources{Name="GPU", State="USED"})', "used", needs="gpu"),
                Query('sum(ray_resources{Name="GPU"})', "all", needs="gpu"),
            ),
        ),
        Panel(
            title="Processors of nodes",
            description="Measured use of each node's processors.",
            unit="percent",
            queries=(Query("avg by (instance) (ray_node_cpu_utilization)", "{{instance}}"),),
        ),
        Panel(
            title="Memory of nodes",
            description="Measured use of each node's memory. Close to 100 %, Ray kills what grew last.",
            unit="percent",
            queries=(
                Query(
                    "100 * sum by (instance) (ray_node_mem_used) / sum by (instance) (ray_node_mem_total)",
                    "{{instance}}",
                ),
            ),
        ),
    ),
)
