"""Traces: what took how long on the way of a request, through its job, to the replicas."""
