"""Telling people and programs what has happened: mail and webhooks, each a job of its own."""
