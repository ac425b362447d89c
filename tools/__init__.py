"""Programs that developers run from the root of the repository."""
