"""Kinds of jobs: one module declares one kind, with its runner and its outcomes.

``pagemill.work.kinds`` lists them.
"""
