"""Notices of events to people and programs: mail and webhooks, each a job of its own."""
