"""The mailbox: SMTP in, with the ways a mail server fails."""

from __future__ import annotations

import asyncio
import threading
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from functools import partial
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from sandbox.world import World

BYE = "421 The sandbox's mail service is not available, try again later"
SIZE = 33554432


class Mailbox:
    """Receives every mail on its own thread and keeps it in the book."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.port = 0

    def start(self) -> None:
        """Listen; ``port`` is known when this returns. Raises OSError where it is taken."""
        options, loop = self.world.options, asyncio.new_event_loop()
        listening = loop.create_server(
            partial(_Smtp, self.world), options.host, options.smtp_port, backlog=256
        )
        try:
            server = loop.run_until_complete(listening)
        except OSError:
            # A loop that is left open complains with a traceback when the process ends.
            loop.close()
            raise
        self.port = server.sockets[0].getsockname()[1]
        threading.Thread(target=loop.run_forever, name="smtp", daemon=True).start()


class _Smtp(SMTP):
    def __init__(self, world: World) -> None:
        super().__init__(
            _Handler(world),
            hostname="sandbox",
            enable_SMTPUTF8=True,
            data_size_limit=SIZE,
            timeout=120,
        )
        self.world = world

    async def _handle_client(self) -> None:
        fault = self.world.faults.choose("smtp", "CONNECT", ("down", "slow"))
        if fault and fault.mode == "slow":
            await asyncio.sleep(fault.pause)
        if fault and fault.mode == "down":
            await self.push(BYE)
            if self.transport:
                self.transport.close()
            return
        await super()._handle_client()


class _Handler:
    """The stages of one mail; the names are aiosmtpd's."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.world.faults.choose("smtp", f"MAIL {address}", ("sender_refused",)):
            return "553 5.1.8 This sender is refused"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self.world.faults.choose("smtp", f"RCPT {address}", ("reject", "greylist"))
        if fault:
            return (
                "550 5.1.1 There is no such mailbox"
                if fault.mode == "reject"
                else "451 4.7.1 Greylisted, try again later"
            )
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        fault = self.world.faults.choose("smtp", "DATA", ("hang", "drop"))
        if fault and fault.mode == "hang":
            await asyncio.sleep(fault.pause)
            return "451 4.3.0 The sandbox gave up waiting"
        number = receive(
            self.world, envelope.content or b"", envelope.mail_from or "", list(envelope.rcpt_tos)
        )
        if fault and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return f"250 OK queued as {number}"


def receive(world: World, content: bytes | str, sender: str, recipients: list[str]) -> int:
    """Keep one mail and return its number."""
    raw = content.encode() if isinstance(content, str) else content
    message = message_from_bytes(raw, policy=modern)
    with world.book.lock:
        world.book.mail_count += 1
        world.book.mails.append(_record(world, message, sender, recipients))
        del world.book.mails[: -world.options.mails_kept]
        world.book.dirty = True
        return world.book.mail_count


def _record(
    world: World, message: EmailMessage, sender: str, recipients: list[str]
) -> dict[str, Any]:
    return {
        "number": world.book.mail_count,
        "from": str(message.get("From", sender)),
        "to": recipients,
        "subject": str(message.get("Subject", "")),
        "text": _part(message, "plain"),
        "html": _part(message, "html"),
        "message_id": str(message.get("Message-ID", "")),
        "headers": [[name, str(value)] for name, value in message.items()],
        "envelope_from": sender,
        "received_at": world.book.now(),
    }


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, UnicodeDecodeError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def reset_link(world: World, email: str) -> None:
    """Send the mail with which a user sets a new password."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "lms@sandbox.example",
        email,
        "Password Reset",
    )
    message.set_content("Follow this link to choose a new password: /update-password?key=k1")
    receive(world, message.as_bytes(), "lms@sandbox.example", [email])


def welcome(world: World, email: str) -> None:
    """Send the mail that Frappe sends to a new user unless it is asked not to."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "lms@sandbox.example",
        email,
        "Welcome to the LMS",
    )
    message.set_content("An account was made for you in the LMS. Choose a password to sign in.")
    receive(world, message.as_bytes(), "lms@sandbox.example", [email])
