"""Containers: a small client of an engine, what a container is given, and what it prints."""
