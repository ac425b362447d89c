"""Number of replicas of an application: as many as the waiting pages need."""
