"""Functions of the operator that steps of workflows call: which there are, and the process each call has."""
