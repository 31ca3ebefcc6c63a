"""The HTTP protocol of the server, with what uvicorn leaves open: heads that are too long or never end, and refusals in our own form.

Heads are gathered by the parser from its beginning with each piece that arrives, so that one of megabytes would stop all other requests.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from worldloom.service.forms import PROBLEM
from worldloom.service.shield import ALWAYS, UNLESS_ITS_OWN
from worldloom.service.wire import json_bytes

HEAD_BYTES = 64 << 10
HEAD_SECONDS = 10.0
LINGER_SECONDS, ENOUGH = 1.0, 1 << 20  # from a refusal until the connection is closed; bytes that are read away meanwhile
DRESS = (*ALWAYS, *UNLESS_ITS_OWN)  # headers of every answer


class Guarded(HttpToolsProtocol):
    """uvicorn's protocol, with a limit for the head of a request in bytes and in time."""

    heading = True  # whether a request's head is still to end
    head = 0  # bytes of it
    refused = False  # what still comes is not looked at
    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self.heading:  # the first of a connection is expected since its beginning
            self.expect_head()

    def on_headers_complete(self) -> None:
        self.heard_head()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        self.head += len(data) if self.heading or self.refused else 0
        if self.refused:
            if self.head > ENOUGH:
                self.transport.close()
            return
        super().data_received(data)
        if self.heading and self.head > HEAD_BYTES and not self.transport.is_closing():
            self.refuse(
                431, f"The head of the request has more than {HEAD_BYTES} bytes. Expected less. Send fewer or shorter headers."
            )

    def expect_head(self) -> None:
        """A request begins, or may begin."""
        self.heard_head()
        self.heading, self.head = True, 0
        self.deadline = self.loop.call_later(HEAD_SECONDS, self.too_late)

    def heard_head(self) -> None:
        """A head has come to its end, or its sender has gone."""
        self.heading = False
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def too_late(self) -> None:
        """The head did not arrive in time."""
        if not self.transport.is_closing():
            self.refuse(408, f"The request did not arrive within {HEAD_SECONDS:g} s. Expected its head by then. Send it at once.")

    def send_400_response(self, msg: str) -> None:
        """What uvicorn answers to what is no HTTP."""
        self.refuse(400, f"{msg} Expected HTTP/1.1. Check what sends it.")

    def refuse(self, status: int, detail: str) -> None:
        """Answer a problem and let go of the connection."""
        titles = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}
        content = json_bytes({"title": titles[status], "status": status, "detail": detail})
        lines = (f"HTTP/1.1 {status} {titles[status]}", f"content-type: {PROBLEM}", f"content-length: {len(content)}")
        head = "\r\n".join((*lines, "connection: close", *(f"{name.decode()}: {value.decode()}" for name, value in DRESS), "", ""))
        self.transport.write(head.encode() + content)
        self.refused = True
        self.heard_head()
        # Closed at once with something unread, the system would send a reset, and the sender might never see the answer.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
