"""The shell and the style of the sandbox's own pages: plain HTML, no script, light and dark."""

from __future__ import annotations

from html import escape
from pathlib import Path

from sandbox.wire import Response, html_response

CSS = Path(__file__).with_name("pages.css").read_text()
NAV = (
    ("/", "Sandbox"),
    ("/tour/", "Tour"),
    ("/mail/", "Mailbox"),
    ("/control/", "Control"),
    ("/lms/courses/", "Courses"),
    ("/edx/", "Open edX"),
)


def page(
    title: str, body: str, *, status: int = 200, narrow: bool = False, nav: bool = True
) -> Response:
    """Return a whole page; ``body`` is HTML, ``title`` is text."""
    links = _navigation() if nav else ""
    width = "narrow" if narrow else ""
    return html_response(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f"<title>{escape(title)} · Sandbox</title><style>{CSS}</style></head><body>"
        '<header class="strip">SANDBOX · nothing here is real and no money moves</header>'
        f"{links}"
        f'<main class="{width}"><h1>{escape(title)}</h1>{body}</main></body></html>',
        status,
        [("Cache-Control", "no-store")],
    )


def _navigation() -> str:
    links = "".join(f'<a href="{href}">{label}</a>' for href, label in NAV)
    return f'<nav aria-label="Sandbox">{links}</nav>'


def card(heading: str, *parts: str) -> str:
    """Return a section of ready HTML parts under a heading."""
    return f'<section class="card"><h2>{heading}</h2>{"".join(parts)}</section>'


def table(headings: list[str], rows: list[list[str]], empty: str) -> str:
    """Return a table of ready HTML cells, or the sentence ``empty`` when there are no rows."""
    if not rows:
        return f'<p class="soft">{escape(empty)}</p>'
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    region = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(headings[0])} table">'
    )
    return f"{region}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def ask_about_learner(email: str) -> str:
    """Return the form by which a course's page is asked about one learner."""
    return (
        '<form class="card"><label for="email">Is this learner enrolled?</label><div'
        ' class="row"><input id="email" name="email" type="email" required'
        f' value="{escape(email)}"><button class="quiet">Look</button></div></form>'
    )
