"""Audit: who did what to which resource, from where, and what came of it."""

from pagemill.audit.events import AuditEvent, record

__all__ = ["AuditEvent", "record"]
