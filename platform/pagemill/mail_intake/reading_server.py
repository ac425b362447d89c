"""Fork server of the mail reader: it forks a confined child for each mail. Run as a module by its parent.

The server never looks at untrusted bytes. It has the parsers loaded, so that a child starts in milliseconds;
each child reads one mail and ends, so that no mail meets the bytes of another.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

import msgspec

from pagemill.mail_intake.mail import Mail, ReadReply, ReadRequest
from pagemill.mail_intake.parsing import parse_mail
from pagemill.mail_intake.preloading import preload_parsers
from pagemill.mail_intake.refusals import MailRefused
from pagemill.sandbox.confinement import Sandbox
from pagemill.sandbox.fork_server import serve_forks
from pagemill.sandbox.framing import receive_message, send_message
from pagemill.sandbox.profile import MAIL_PARSER

MEMORY_BYTES = 1024 * 1024 * 1024
PROCESSOR_SECONDS = 10
RECURSION = 250
"""Calls within calls while a mail is parsed: the parser takes three for each level of parts."""
OUT_OF_MEMORY = "The mail needs more memory to read than is allowed"
TOO_DEEP = "The mail is nested too deeply"
MALFORMED = "The mail is malformed"


def main() -> None:
    """Fork for the parent on the socket whose descriptor is the first argument, until it goes."""
    preload_parsers()
    serve_forks(socket.socket(fileno=int(sys.argv[1])), serve_mail, Sandbox(MAIL_PARSER))


def serve_mail(connection: socket.socket, _descriptors: Sequence[int], sandbox: Sandbox) -> None:
    """Read one mail, within bounds that the kernel enforces."""
    request = msgspec.msgpack.decode(receive_message(connection), type=ReadRequest)
    sandbox.enter(MEMORY_BYTES, processor_seconds=PROCESSOR_SECONDS, network=request.authenticate)
    content = bytes(receive_message(connection))
    send_message(connection, msgspec.msgpack.encode(_reply(request, content)))


def _reply(request: ReadRequest, content: bytes) -> ReadReply:
    try:
        return ReadReply(mail=read_mail(request, content))
    except MailRefused as refusal:
        return ReadReply(problem=refusal.message)
    except MemoryError:
        return ReadReply(problem=OUT_OF_MEMORY)
    except RecursionError:
        return ReadReply(problem=TOO_DEEP)
    except Exception:  # noqa: BLE001 - parsers of untrusted bytes fail in ways that nobody lists
        return ReadReply(problem=MALFORMED)


def read_mail(request: ReadRequest, content: bytes) -> Mail:
    """Return what a mail says, and who answers for it if that is asked for. Raises MailRefused."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION)
    try:
        mail = parse_mail(content, sender=request.sender)
    finally:
        sys.setrecursionlimit(usual)
    if not request.authenticate:
        return mail
    # Loaded before, where it is installed: it is not needed otherwise.
    from pagemill.mail_intake.authentication import authenticate
    from pagemill.mail_intake.resolver import Resolver

    found = authenticate(content, request, origin=mail.origin, resolver=Resolver(request.name_servers))
    return msgspec.structs.replace(mail, authentication=found)


if __name__ == "__main__":
    main()
