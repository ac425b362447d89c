"""What has to be done by itself, or by the operator, so that nothing is kept that should be gone."""
