"""OpenID Connect, as a client of providers that operators configure."""
