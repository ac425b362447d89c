"""OpenAPI document of the REST API, and its HTML page."""
