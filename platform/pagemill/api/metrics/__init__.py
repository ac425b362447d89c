"""Metrics of the API for Prometheus, on a listener of its own; see docs/decisions/0029-metrics.md."""
