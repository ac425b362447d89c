"""Check of ``cluster.yaml`` without a cloud (``python -m tools.cluster_file``)."""
