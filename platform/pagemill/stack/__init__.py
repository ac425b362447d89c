"""Embedded stack: `pagemill up` runs Postgres, objects, Ray and the API, supervised. A composition root."""
