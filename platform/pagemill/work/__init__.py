"""Kinds of jobs: one module declares one kind, with its runner and all that its outcomes write.

``pagemill.work.kinds`` lists them.
"""
