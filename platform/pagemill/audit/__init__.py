"""Audit: who did what to which resource, from where, and what came of it."""
