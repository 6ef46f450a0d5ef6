"""The mailbox in a browser and as JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from typing import Any

from sandbox.pages import page, table
from sandbox.wire import Request, Response, json_response, redirect
from sandbox.world import World

Mail = dict[str, Any]
ADDRESS = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:)]")


class MailPages:
    """Everything under /mail/."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book

    def handle(self, request: Request) -> Response:
        path = request.path.removeprefix("/mail").strip("/")
        if path == "api/messages":
            return self._api(request)
        if path == "delete" and request.method == "POST":
            self._delete()
            return redirect("/mail/")
        if not path:
            return self._list()
        mail = next((mail for mail in self.book.mails if str(mail["number"]) == path), None)
        return (
            _mail(mail)
            if mail
            else page("No such mail", "<p>It may have been deleted.</p>", status=404)
        )

    def _api(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._delete()
            return json_response({"deleted": True})
        wanted = request.args().get("to", "").lower()
        with self.book.lock:
            mails = [
                mail
                for mail in reversed(self.book.mails)
                if not wanted or wanted in map(str.lower, mail["to"])
            ]
            return json_response({"count": len(mails), "messages": mails})

    def _delete(self) -> None:
        with self.book.lock:
            self.book.mails.clear()
            self.book.dirty = True

    def _list(self) -> Response:
        with self.book.lock:
            rows = [_row(mail) for mail in reversed(self.book.mails)]
        clear = (
            '<form method="post" action="/mail/delete"><button class="quiet">Delete'
            " all</button></form>"
            if rows
            else ""
        )
        return page(
            "Mailbox",
            table(
                ["Message", "Received"],
                rows,
                "No mail yet. Everything the shop sends lands here.",
            )
            + clear,
        )


def _when(mail: Mail) -> str:
    return datetime.fromtimestamp(mail["received_at"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _row(mail: Mail) -> list[str]:
    subject = escape(mail["subject"] or "(no subject)")
    to = escape(", ".join(mail["to"]))
    message = f'<a href="/mail/{mail["number"]}">{subject}</a><br><span class="soft">{to}</span>'
    return [message, _when(mail)]


def _mail(mail: Mail) -> Response:
    facts = (
        ("From", mail["from"]),
        ("To", ", ".join(mail["to"])),
        ("Received", _when(mail)),
        ("Message-ID", mail["message_id"]),
    )
    head = "".join(
        f'<div class="line"><span class="soft">{name}</span><span>{escape(value)}</span></div>'
        for name, value in facts
    )
    html = ""
    if mail["html"]:
        source = escape('<base target="_top">' + mail["html"])
        frame = (
            '<iframe title="HTML part" sandbox="allow-top-navigation-by-user-activation"'
            f' srcdoc="{source}"></iframe>'
        )
        html = f'<section class="card"><h2>HTML</h2>{frame}</section>'
    text = f"<h2>Text</h2><pre>{linked(mail['text'])}</pre>"
    headers = "\n".join(f"{name}: {value}" for name, value in mail["headers"])
    body = f'<section class="card">{head}</section>{html}<section class="card">{text}</section>'
    return page(
        mail["subject"] or "(no subject)",
        body
        + f'<details class="card"><summary>Headers</summary><pre>{escape(headers)}</pre></details>',
    )


def linked(text: str) -> str:
    """Return plain text as HTML in which addresses are links."""
    return ADDRESS.sub(lambda match: f'<a href="{match[0]}">{match[0]}</a>', escape(text))
