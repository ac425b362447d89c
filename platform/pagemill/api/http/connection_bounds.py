"""Bounds on the connections of one address, which the server (granian) does not have.

A connection belongs to the server, and Python sees none of it before a request has come. What the process
can see are its descriptors: when it has many, it counts its connections by their peers, and shuts those of
an address that has too many. Who does no harm keeps its place: first go connections that have never sent a
whole request, then those that have waited longest since their last one. A connection on whose request the
application works is never shut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import resource
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from pagemill.api.http.client_address import TrustedProxies, neighbourhood
from pagemill.concurrency import cancel_and_wait

Peer: TypeAlias = tuple[str, str | int]
"""Address and port, both as granian writes them in the scope of a request."""

LOOK_SECONDS: Final = 0.25
GRACE_SECONDS: Final = 1.0
"""Age from which a connection without a whole request may be shut."""
DESCRIPTORS: Final = 16_384
"""Descriptors that the process asks for: two for each connection that it may have, and those of its own."""
DESCRIPTORS_DIRECTORY = "/dev/fd"

logger = logging.getLogger(__name__)


class Arrivals:
    """When the last whole request of each connection came; infinite while the application works on it."""

    def __init__(self) -> None:
        self._times: dict[Peer, float] = {}

    def complete(self, peer: Peer | None) -> None:
        """Note that all of a request has come."""
        if peer is not None:
            self._times[peer] = math.inf

    def answered(self, peer: Peer | None, at: float) -> None:
        """Note that a request was answered; one that never came whole leaves no trace."""
        if peer in self._times:
            self._times[peer] = at

    def incomplete(self, peer: Peer | None) -> None:
        """Note that a request with a body has begun: its connection has to prove itself again."""
        if peer is not None:
            self._times.pop(peer, None)

    def last(self, peer: Peer) -> float:
        """Return the time, 0 for a connection without any."""
        return self._times.get(peer, 0.0)

    def keep(self, peers: set[Peer]) -> None:
        """Forget all connections but these."""
        for gone in self._times.keys() - peers:
            del self._times[gone]

    def __len__(self) -> int:
        return len(self._times)


arrivals = Arrivals()
"""Those of this process. The server tells the application nothing else about connections."""


class OpenConnection(NamedTuple):
    """A connection that the server has accepted; ``descriptor`` is a duplicate of the server's."""

    descriptor: int
    peer: Peer


def surplus(
    connections: Sequence[OpenConnection], seen: dict[Peer, float], now: float, most: int, noted: Arrivals
) -> list[OpenConnection]:
    """Return the connections to shut so that none of these has a neighbour too many.

    ``seen`` says since when each is known. All are of one address; at least ``most`` stay. Connections that
    have sent a whole request only give way to others of their kind: strangers who come again and again would
    push them out while they are too new to be shut themselves.
    """
    proven = [one for one in connections if noted.last(one.peer) > 0]
    idle = sorted(
        (one for one in proven if noted.last(one.peer) < math.inf), key=lambda one: noted.last(one.peer)
    )
    strange = [
        one for one in connections if not noted.last(one.peer) and now - seen[one.peer] >= GRACE_SECONDS
    ]
    strange.sort(key=lambda one: seen[one.peer])
    return [*strange[: max(0, len(connections) - most)], *idle[: max(0, len(proven) - most)]]


class ConnectionBounds:
    """Watch over the connections of this process: at most ``most`` of each address but trusted proxies."""

    def __init__(self, most: int, trusted: TrustedProxies) -> None:
        self._most, self._trusted = most, trusted
        self._seen: dict[Peer, float] = {}
        self._own = 0

    async def watch(self) -> None:
        """Look four times a second, until cancelled."""
        raise_descriptors()
        self._own = _descriptors()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self.look(time.perf_counter())
            except OSError as error:
                # Without descriptors there is nothing to look with; the next look may have some again.
                logger.warning("the connections cannot be counted: %r", error)

    def look(self, now: float) -> int:
        """Shut what is too much, and return how many connections that were."""
        if _descriptors() - self._own <= self._most and len(arrivals) <= DESCRIPTORS:
            return 0
        connections = list(accepted_connections())
        try:
            return self._shut_surplus(connections, now)
        finally:
            for one in connections:
                os.close(one.descriptor)

    def _shut_surplus(self, connections: Sequence[OpenConnection], now: float) -> int:
        peers = {one.peer for one in connections}
        self._seen = {peer: self._seen.get(peer, now) for peer in peers}
        arrivals.keep(peers)
        by_address: defaultdict[str, list[OpenConnection]] = defaultdict(list)
        for one in connections:
            by_address[neighbourhood(one.peer[0])].append(one)
        count = 0
        for address, ones in by_address.items():
            if len(ones) <= self._most or self._trusted.trusts(ones[0].peer[0]):
                continue
            shut = surplus(ones, self._seen, now, self._most, arrivals)
            for one in shut:
                _shut(one.descriptor)
            if shut:
                logger.warning("%d of %d connections from %s were shut", len(shut), len(ones), address)
            count += len(shut)
        return count


@contextlib.asynccontextmanager
async def bounded_connections(most: int, trusted: TrustedProxies) -> AsyncIterator[None]:
    """Watch over the connections of this process meanwhile."""
    watching = asyncio.create_task(ConnectionBounds(most, trusted).watch(), name="connections")
    try:
        yield
    finally:
        await cancel_and_wait([watching])


def raise_descriptors() -> None:
    """Raise the soft limit of descriptors, often 1,024, as far as it is needed and allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def accepted_connections() -> Iterator[OpenConnection]:
    """Yield the TCP connections at the ports that this process listens on, to be closed by the caller."""
    ports: set[int] = set()
    others: list[tuple[int, OpenConnection]] = []
    for name in os.listdir(DESCRIPTORS_DIRECTORY):
        found = _connection_of(int(name))
        if isinstance(found, int):
            ports.add(found)
        elif found is not None:
            others.append(found)
    for port, connection in others:
        if port in ports:
            yield connection
        else:
            os.close(connection.descriptor)


def _connection_of(descriptor: int) -> int | tuple[int, OpenConnection] | None:
    """Return a listening socket's port, a connection with its own port, or None for anything else."""
    try:
        copy = os.dup(descriptor)
    except OSError:
        return None
    try:
        inspected = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return None
    with inspected:
        try:
            if inspected.family not in (socket.AF_INET, socket.AF_INET6):
                return None
            port = int(inspected.getsockname()[1])
            if inspected.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return port
            peer = inspected.getpeername()
        except OSError:
            return None
        return port, OpenConnection(inspected.detach(), (str(peer[0]), str(peer[1])))


def _shut(descriptor: int) -> None:
    """Shut the connection under the server, which then sees its end."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has just ended by itself


def _descriptors() -> int:
    return len(os.listdir(DESCRIPTORS_DIRECTORY))
