"""Workflows: definitions, the interpreter of state machines, and executions."""
