"""The control page: what the sandbox knows at a glance, and its switches as plain forms."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from sandbox import control_payments
from sandbox.fault_words import WORDS
from sandbox.faults import AFTER_WORK, NO_WORK, SMTP_MODES, TARGETS
from sandbox.options import SERVERS
from sandbox.pages import card, page, table
from sandbox.stripe_errors import StripeRefusal
from sandbox.wire import Response, redirect
from sandbox.world import World

SHOWN = 15
EDX_SWITCHES = {
    "staff": "Our user is staff",
    "progress_tab": "Shows progress",
    "bulk": "Bulk enrollment",
}
MODES = sorted({"slow", "random", *NO_WORK, *AFTER_WORK, *SMTP_MODES})


def show(world: World, problem: str = "") -> Response:
    """Return the page."""
    notice = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    with world.book.lock:
        body = (
            notice
            + _faults(world)
            + _settings(world)
            + control_payments.section(world)
            + _sessions(world)
            + _deliveries(world)
        )
    return page("Control", body, status=400 if problem else 200)


def switch(world: World, form: dict[str, str]) -> Response:
    """Do what one of the page's forms asks and show the page again."""
    action = form.get("action", "")
    try:
        ACTIONS[action](world, form)
    except KeyError as problem:
        return show(world, f"There is no {problem} here.")
    except (ValueError, StripeRefusal) as problem:
        return show(world, str(problem))
    return redirect(
        f"/control/#{control_payments.ANCHOR}"
        if action in control_payments.ACTIONS
        else "/control/"
    )


def _add_fault(world: World, form: dict[str, str]) -> None:
    spec: dict[str, object] = {
        "target": form["target"],
        "mode": form["mode"],
        "match": form.get("match", "").strip(),
    }
    if form.get("times"):
        spec["times"] = int(form["times"])
    if form.get("seconds"):
        spec["seconds"] = float(form["seconds"])
    if form.get("retry_after"):
        spec["retry_after"] = form["retry_after"]
    world.faults.add(spec)


def _set_webhooks(world: World, form: dict[str, str]) -> None:
    world.webhooks.duplicates = max(1, int(form["duplicates"]))
    world.webhooks.delay = float(form["delay"])
    world.options.async_delay = float(form["async_delay"])
    if form.get("hold"):
        world.webhooks.hold = True
    elif world.webhooks.hold:
        world.webhooks.release("shuffled" if form.get("shuffle") else "given")


def _set_lms(world: World, form: dict[str, str]) -> None:
    if form["server"] not in SERVERS:
        raise ValueError("There is no such LMS server.")
    world.lms.server = form["server"]


def _set_openedx(world: World, form: dict[str, str]) -> None:
    for name in EDX_SWITCHES:
        setattr(world.edx, name, name in form)


ACTIONS = {
    "fault": _add_fault,
    "clear": lambda world, form: world.faults.clear(),
    "webhooks": _set_webhooks,
    "lms": _set_lms,
    "openedx": _set_openedx,
    **control_payments.ACTIONS,
}


def _select(name: str, label: str, values: Sequence[str], chosen: str = "") -> str:
    options = "".join(
        f"<option{' selected' if value == chosen else ''}>{escape(value)}</option>"
        for value in values
    )
    select = f'<select id="{name}" name="{name}">{options}</select>'
    return f'<div><label for="{name}">{label}</label>{select}</div>'


def _checkbox(name: str, label: str, *, checked: bool = False) -> str:
    box = f'<input id="{name}" name="{name}" type="checkbox"{" checked" if checked else ""}>'
    return f'<div><label for="{name}">{label}</label>{box}</div>'


def _field(name: str, label: str, value: object = "", kind: str = "text") -> str:
    entry = (
        f'<input id="{name}" name="{name}" type="{kind}" step="any" value="{escape(str(value))}">'
    )
    return f'<div><label for="{name}">{label}</label>{entry}</div>'


def _form(action: str, inner: str, button: str) -> str:
    row = f'<div class="row">{inner}<div><button>{button}</button></div></div>'
    hidden = f'<input type="hidden" name="action" value="{action}">'
    return f'<form method="post" action="/control/switch">{hidden}{row}</form>'


def _faults(world: World) -> str:
    rows = [
        [
            escape(str(fault[name])) if fault[name] not in (None, "") else "—"
            for name in ("target", "mode", "match", "times", "hits")
        ]
        for fault in world.faults.all()
    ]
    fields = (
        _select("target", "Where", TARGETS)
        + _select("mode", "What goes wrong", MODES, "down")
        + _field("match", "Only calls that start with")
        + _field("times", "How often", kind="number")
    )
    fields += _field("seconds", "Seconds", kind="number") + _field("retry_after", "Retry-After")
    clear = _form("clear", "", "Switch all off") if rows else ""
    shown = table(["Where", "What", "Match", "Left", "Struck"], rows, "Nothing is broken.")
    words = [[f"<code>{mode}</code>", escape(WORDS[mode])] for mode in MODES]
    listed = table(["Fault", "What it does"], words, "")
    what = f"<details><summary>What each one does</summary>{listed}</details>"
    return card("Faults", shown, _form("fault", fields, "Break it"), what, clear)


def _settings(world: World) -> str:
    hooks = world.webhooks
    fields = (
        _field("duplicates", "Times each is sent", hooks.duplicates, "number")
        + _field("delay", "Delay, seconds", hooks.delay, "number")
        + _field("async_delay", "Bank debit takes, seconds", world.options.async_delay, "number")
        + _checkbox("hold", "Hold deliveries", checked=hooks.hold)
        + _checkbox("shuffle", "Shuffle on release")
    )
    server = _select("server", "LMS server", SERVERS, world.lms.server)
    target = (
        f'<p class="soft">Webhooks go to <code>{escape(hooks.url) or "nowhere yet"}</code>;'
        f" {len(hooks.held)} held.</p>"
    )
    return (
        card("Webhooks", target, _form("webhooks", fields, "Apply"))
        + card("LMS", _form("lms", server, "Apply"), _counts(world))
        + _openedx(world)
    )


def _openedx(world: World) -> str:
    edx = world.book.edx
    switches = "".join(
        _checkbox(name, label, checked=getattr(world.edx, name))
        for name, label in EDX_SWITCHES.items()
    )
    shown = (
        f"{len(edx['users'])} accounts, {len(edx['courses'])} courses,"
        f" {len(edx['enrollments'])} enrollments, {len(edx['allowed'])} pending"
    )
    form = _form("openedx", switches, "Apply")
    return card("Open edX", form, f'<p class="soft">{shown}</p>')


def _counts(world: World) -> str:
    docs = world.book.docs
    counts = {
        "users": docs["User"],
        "courses": docs["LMS Course"],
        "enrollments": docs["LMS Enrollment"],
        "mails": world.book.mails,
    }
    shown = ", ".join(f"{len(things)} {name}" for name, things in counts.items())
    return f'<p class="soft">{shown}</p>'


def _sessions(world: World) -> str:
    newest = list(reversed(world.book.sessions.values()))[:SHOWN]
    rows = [
        [
            _session_link(session),
            session["status"],
            session["payment_status"],
            escape(str(session["customer_email"] or "—")),
        ]
        for session in newest
    ]
    headings = ["Session", "Status", "Payment", "E-mail"]
    return card("Checkout sessions", table(headings, rows, "None yet."))


def _session_link(session: dict[str, object]) -> str:
    return f'<a href="/pay/{session["id"]}"><code>{str(session["id"])[:20]}…</code></a>'


def _deliveries(world: World) -> str:
    newest = list(reversed(world.book.deliveries))[:SHOWN]
    rows = [
        [
            escape(entry["type"]),
            str(entry["attempt"]),
            entry["outcome"],
            str(entry["status"] or escape(entry["answer"][:80])),
        ]
        for entry in newest
    ]
    headings = ["Event", "Attempt", "Outcome", "Answer"]
    return card("Webhook deliveries", table(headings, rows, "None yet."))
