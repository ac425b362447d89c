"""A release: what it consists of, and the check of it in an empty environment (``make release``)."""
