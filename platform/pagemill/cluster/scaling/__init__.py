"""How many replicas an application has: as many as the waiting pages need."""
