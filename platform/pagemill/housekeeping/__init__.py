"""Housekeeping: consents, orphaned objects, and the rotation of keys."""
