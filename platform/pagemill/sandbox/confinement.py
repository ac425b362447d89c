"""Confinement of child processes: what they may ask of the kernel, open, and take.

A fork server prepares it once; each child enters it before it looks at its document. Each means that the
kernel offers is a wall of its own: what gets through one is stopped by the next.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import warnings
from collections.abc import Callable
from typing import Final, assert_never

from pagemill.sandbox import kernel
from pagemill.sandbox.isolation import leave_network
from pagemill.sandbox.landlock import make_ruleset, restrict_this_process
from pagemill.sandbox.means import Confinement, Means
from pagemill.sandbox.own_user import become_another_user
from pagemill.sandbox.profile import Profile
from pagemill.sandbox.seccomp import Filter
from pagemill.sandbox.system_call_policy import function_filter, parser_filter

FIRST_TO_GO: Final = "1000"
DESCRIPTORS: Final = 32
"""Most files and connections that a parser has open: its own few, and a font."""


class Sandbox:
    """Confinement of the children of a fork server. It is made in the server, which has one thread."""

    def __init__(self, profile: Profile) -> None:
        """Try in some children which means there are."""
        _be_first_to_go()
        self._profile = profile
        self._capabilities = kernel.held_capabilities()
        self._kept_capabilities = (
            self._capabilities & ~kernel.CAPABILITIES_INTO_OTHERS if profile.trusted else 0
        )
        means = frozenset(one for one in profile.means if _succeeds(functools.partial(self._try, one)))
        self.confinement = Confinement(means, profile.means - means)
        self._ruleset: int | None = None
        self._filters: dict[bool, Filter] = {}

    def prepare(self) -> None:
        """Do once what all children share, right before the first one: less can be opened afterwards."""
        means = self.confinement.means
        if Means.NO_NETWORK in means:
            leave_network()
            self._capabilities = kernel.held_capabilities()
        if Means.FILES in means:
            self._ruleset = self._make_ruleset()
        if Means.SYSTEM_CALLS in means:
            files = Means.FILES in means
            self._filters = {network: self._filter(network, files=files) for network in (False, True)}
        self._close_to_others()
        if not self._profile.trusted:
            # Nobody reads a child's warnings: standard error is closed, and they must not become failures.
            warnings.simplefilter("ignore")

    @property
    def opens_files(self) -> bool:
        """Whether children may open the files that their profile names: without Landlock they open none."""
        return Means.FILES in self.confinement.means or Means.SYSTEM_CALLS not in self.confinement.means

    def separate(self) -> None:
        """Part a new child from its server and the others, as far as it needs no document for that."""
        if Means.OTHER_USER in self.confinement.means:
            become_another_user()
            self._close_to_others()

    def enter(
        self,
        memory_bytes: int,
        *,
        processor_seconds: int | None = None,
        file_bytes: int = 0,
        network: bool = False,
    ) -> None:
        """Confine this process for ever. Raises OSError if a means fails that the server has.

        ``network``: name servers are asked, where the profile has a network.
        """
        self._limit(memory_bytes, processor_seconds, file_bytes)
        if Means.NO_NEW_PRIVILEGES in self.confinement.means:
            self._give_up_privileges()
        if self._ruleset is not None:
            restrict_this_process(self._ruleset)
            os.close(self._ruleset)
        if self._filters:
            self._filters[network].install()

    def _limit(self, memory_bytes: int, processor_seconds: int | None, file_bytes: int) -> None:
        limits = {
            resource.RLIMIT_AS: memory_bytes,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_FSIZE: file_bytes,
        }
        if not self._profile.trusted:
            limits |= {resource.RLIMIT_NOFILE: DESCRIPTORS, resource.RLIMIT_NPROC: 0}
        if processor_seconds is not None:
            limits[resource.RLIMIT_CPU] = processor_seconds
        for kind, most in limits.items():
            resource.setrlimit(kind, (most, most))

    def _give_up_privileges(self) -> None:
        kernel.no_new_privileges()
        # Who became another user has no capabilities any more.
        if self._capabilities and Means.OTHER_USER not in self.confinement.means:
            kernel.drop_capabilities(self._kept_capabilities)

    def _make_ruleset(self) -> int:
        return make_ruleset(self._profile.readable, network=Means.NO_NETWORK not in self._profile.means)

    def _filter(self, network: bool, *, files: bool) -> Filter:
        if self._profile.trusted:
            return Filter(function_filter())
        # Without Landlock no file is safe, and none is opened.
        return Filter(parser_filter(files=files, network=network))

    def _try(self, one: Means) -> None:
        """Do what a means does. Raises OSError where it is missing."""
        # Landlock and seccomp ask for it.
        kernel.no_new_privileges()
        match one:
            case Means.NO_NEW_PRIVILEGES:
                pass
            case Means.NO_NETWORK:
                leave_network()
            case Means.OTHER_USER:
                become_another_user()
            case Means.FILES:
                restrict_this_process(self._make_ruleset())
            case Means.SYSTEM_CALLS:
                self._filter(False, files=True).install()
            case _:
                assert_never(one)

    def _close_to_others(self) -> None:
        """Keep processes of the same user out of this one's memory."""
        if not self._profile.trusted:
            with contextlib.suppress(OSError):
                kernel.set_dumpable(False)


def _be_first_to_go() -> None:
    """Have the kernel end this process, where memory is short, and its children, rather than their parent."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write(FIRST_TO_GO)


def _succeeds(step: Callable[[], None]) -> bool:
    """Return whether a step raises no OSError, in a process that is ended afterwards."""
    process_id = os.fork()
    if process_id == 0:
        status = 1
        try:
            with contextlib.suppress(OSError):
                step()
                status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(process_id, 0)
    return status == 0
