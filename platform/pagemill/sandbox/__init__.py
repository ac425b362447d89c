"""Confined child processes for parsers of untrusted bytes: their start, their bounds, and their messages."""
