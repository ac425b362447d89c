"""Ray tasks and Ray Train: data bundles and trainings."""
