"""A name server of a test: real DNS over UDP, on a port of this machine, on a thread of its own."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator, Mapping

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Records = Mapping[tuple[str, str], list[str]]
"""The values of a name and a type; a name without any does not exist. ``SILENT`` is never answered."""
SILENT = ["no answer"]


@contextlib.contextmanager
def name_server(records: Records) -> Iterator[str]:
    """Serve the records, and yield ``address:port``."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, connection = self.request
            question = dns.message.from_wire(data)
            if (reply := answer(records, question)) is not None:
                connection.sendto(reply.to_wire(), self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def answer(records: Records, question: dns.message.Message) -> dns.message.Message | None:
    """The reply to a question, None for none at all."""
    [asked] = question.question
    name, kind = asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)
    found = records.get((name, kind), [])
    if found is SILENT:
        return None
    reply = dns.message.make_response(question)
    reply.flags |= dns.flags.RA
    if found:
        reply.answer.append(dns.rrset.from_text(asked.name, 60, dns.rdataclass.IN, asked.rdtype, *found))
    elif not any(known == name for known, _ in records):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply
