"""Checks of the manifests below deploy/, without a cluster: what they find is a list of sentences."""
