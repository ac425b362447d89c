"""HTTP below the resources: bodies, errors, paging, idempotency, connections, request ids."""
