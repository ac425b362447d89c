"""Usage of organizations: meters, plans, limits, reservations, and the usage counter actors."""
