"""Programs that show Pagemill at work."""
