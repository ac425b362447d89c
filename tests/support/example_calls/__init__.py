"""Calls of every operation, from which the examples of the API document are recorded."""
