"""Writes the API document and the Postman collection to ``docs/api`` (``make api-docs``)."""
