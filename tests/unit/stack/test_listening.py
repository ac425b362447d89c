"""What of a stack other machines can reach is known and said."""

from __future__ import annotations

import os
import socket

from pagemill.stack.listening import OpenPort, described, ports_open_to_others


def open_here(port: int) -> list[OpenPort]:
    """Of this process alone: others of the machine carry no such marker."""
    return [one for one in ports_open_to_others(f"of {os.getpid()}") if one.port == port]


def test_a_port_on_all_addresses_is_found() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        [found] = open_here(port)
    assert (found.address, found.port) == ("0.0.0.0", port)
    assert f"0.0.0.0:{port}" in described([found])


def test_a_port_of_this_machine_alone_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert open_here(server.getsockname()[1]) == []


def test_nothing_is_said_to_be_nothing() -> None:
    assert described([]) == "nothing listens beyond this machine"
