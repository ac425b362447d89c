"""Metrics of the API for Prometheus: what its processes count together, on a listener of its own."""
