"""Serve applications of the cluster: their requests, their clients, and the artefacts that they load."""
