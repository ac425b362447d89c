"""Callers: tokens, scopes, roles, and the guard that checks them."""
