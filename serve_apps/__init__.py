"""Ray Serve applications: reading of pages and prediction of fields."""
