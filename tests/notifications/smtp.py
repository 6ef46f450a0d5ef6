"""A mail server on loopback that answers what a test says, at the stage that it says."""

from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.processes import free_port


class MailServer(Controller):
    """Keeps the recipients of what it took; `answers` has replies by stage.

    A stage is connect, login, MAIL, RCPT or DATA; under the name of an address it is that one's
    RCPT. `silent_at` names the stage at which it hangs up instead: 354 is before it lets the
    message be sent, DATA after it has all of it, and "DATA <address>" that for one recipient.
    """

    def __init__(self, *, needs_login: bool = False) -> None:
        super().__init__(
            _Handler(self),
            hostname="127.0.0.1",
            port=free_port(),
            auth_required=False,
            auth_require_tls=False,
            authenticator=self._authenticate if needs_login else None,
        )
        self.answers: dict[str, str] = {}
        self.silent_at = ""
        self.taken: list[str] = []
        self.tries = 0

    def factory(self) -> SMTP:
        return _Server(self.handler, mail_server=self, **self.SMTP_kwargs)

    def _authenticate(self, *_: Any) -> AuthResult:
        answer = self.answers.get("login")
        return AuthResult(success=not answer, handled=False, message=answer)


class _Server(SMTP):
    def __init__(self, *args: Any, mail_server: MailServer, **options: Any) -> None:
        super().__init__(*args, **options)
        self.mail_server = mail_server

    async def _handle_client(self) -> None:
        self.mail_server.tries += 1
        greeting = self.mail_server.answers.get("connect")
        if greeting:
            await self.push(greeting)
            self.transport.close()
            return
        await super()._handle_client()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if self.mail_server.silent_at == "354":
            self.transport.abort()
            return
        await super().smtp_DATA(arg)


class _Handler:
    def __init__(self, server: MailServer) -> None:
        self.server = server

    async def _answer(self, session: SMTP, *names: str) -> str:
        if self.server.silent_at in names:
            session.transport.abort()
        return next(filter(None, map(self.server.answers.get, names)), "")

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await self._answer(server, "MAIL") or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._answer(server, address, "RCPT")
        if not answer:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        answer = await self._answer(server, "DATA", *(f"DATA {to}" for to in envelope.rcpt_tos))
        if not answer:
            self.server.taken += envelope.rcpt_tos
        return answer or "250 OK"
