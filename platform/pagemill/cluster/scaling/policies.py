"""Policies by the names under which Serve's controller imports them.

Serve copies classes of the module that is named to it by value, and imports by name what they use: after an
upgrade that would be a new class among old modules, until the controller is started anew. From here it
imports the classes too.
"""

from pagemill.cluster.scaling.policy import BacklogPolicy

__all__ = ["BacklogPolicy"]
