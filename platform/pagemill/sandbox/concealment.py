"""Concealment of a process that holds keys from others of the same user."""

from __future__ import annotations

import contextlib

from pagemill.sandbox import kernel


def conceal_this_process() -> None:
    """Keep other processes of the same user out of this one's environment and memory (on Linux).

    It holds until another program is executed; processes that are started have to do it themselves.
    """
    with contextlib.suppress(OSError):
        kernel.set_dumpable(False)


def conceal_ray_worker() -> None:
    """Do the same in a worker or driver of Ray, where Ray's agent may look into it all the same, as root may.

    Elsewhere the agent could not count its descriptors any more, and would report no metrics at all.
    """
    with contextlib.suppress(OSError):
        if kernel.may_look_into_others():
            kernel.set_dumpable(False)
