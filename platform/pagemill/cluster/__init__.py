"""Ray: deployment of the applications, and the dispatcher as an actor."""
