"""Extraction: bytes to pages to words to fields, and learning. Pure: no database, Ray, HTTP or clock."""
