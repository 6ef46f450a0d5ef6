"""The control page: what the sandbox knows at a glance, and its switches as plain forms."""

from __future__ import annotations

from html import escape

from sandbox import control_payments
from sandbox.faults import AFTER_WORK, NO_WORK, SMTP_MODES, TARGETS
from sandbox.options import SERVERS
from sandbox.pages import page, table
from sandbox.stripe_errors import StripeRefusal
from sandbox.wire import Response, redirect
from sandbox.world import World

SHOWN = 15
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
        f"/control/#{control_payments.PLACE}" if action in control_payments.ACTIONS else "/control/"
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


ACTIONS = {
    "fault": _add_fault,
    "clear": lambda world, form: world.faults.clear(),
    "webhooks": _set_webhooks,
    "lms": _set_lms,
    **control_payments.ACTIONS,
}


def _options(names: list[str] | tuple[str, ...], chosen: str = "") -> str:
    return "".join(
        f"<option{' selected' if name == chosen else ''}>{escape(name)}</option>" for name in names
    )


def _field(name: str, label: str, value: object = "", kind: str = "text") -> str:
    entry = (
        f'<input id="{name}" name="{name}" type="{kind}" step="any" value="{escape(str(value))}">'
    )
    return f'<div><label for="{name}">{label}</label>{entry}</div>'


def _form(action: str, inner: str, button: str) -> str:
    row = f'<div class="row">{inner}<div><button>{button}</button></div></div>'
    return (
        '<form method="post" action="/control/switch"><input type="hidden" name="action"'
        f' value="{action}">{row}</form>'
    )


def _faults(world: World) -> str:
    rows = [
        [
            escape(str(fault[name])) if fault[name] not in (None, "") else "—"
            for name in ("target", "mode", "match", "times", "hits")
        ]
        for fault in world.faults.all()
    ]
    pickers = (
        '<div><label for="target">Where</label><select id="target"'
        f' name="target">{_options(TARGETS)}</select></div><div><label for="mode">What goes'
        f' wrong</label><select id="mode" name="mode">{_options(MODES, "down")}</select></div>'
    )
    fields = (
        pickers
        + _field("match", "Only calls that start with")
        + _field("times", "How often", kind="number")
    )
    fields += _field("seconds", "Seconds", kind="number") + _field("retry_after", "Retry-After")
    clear = _form("clear", "", "Switch all off") if rows else ""
    shown = table(["Where", "What", "Match", "Left", "Struck"], rows, "Nothing is broken.")
    return (
        "<section"
        f' class="card"><h2>Faults</h2>{shown}{_form("fault", fields, "Break it")}{clear}</section>'
    )


def _settings(world: World) -> str:
    hooks = world.webhooks
    held = " checked" if hooks.hold else ""
    checks = (
        '<div><label for="hold">Hold deliveries</label><input id="hold" name="hold"'
        f' type="checkbox"{held}></div><div><label for="shuffle">Shuffle on release</label><input'
        ' id="shuffle" name="shuffle" type="checkbox"></div>'
    )
    fields = _field("duplicates", "Times each is sent", hooks.duplicates, "number") + _field(
        "delay", "Delay, seconds", hooks.delay, "number"
    )
    fields += (
        _field("async_delay", "Bank debit takes, seconds", world.options.async_delay, "number")
        + checks
    )
    server = (
        '<div><label for="server">LMS server</label><select id="server"'
        f' name="server">{_options(SERVERS, world.lms.server)}</select></div>'
    )
    target = (
        f'<p class="soft">Webhooks go to <code>{escape(hooks.url) or "nowhere yet"}</code>;'
        f" {len(hooks.held)} held.</p>"
    )
    return (
        "<section"
        f' class="card"><h2>Webhooks</h2>{target}{_form("webhooks", fields, "Apply")}</section><section'
        f' class="card"><h2>LMS</h2>{_form("lms", server, "Apply")}{_counts(world)}</section>'
    )


def _counts(world: World) -> str:
    docs = world.book.docs
    counts = {
        "users": docs["User"],
        "courses": docs["LMS Course"],
        "enrollments": docs["LMS Enrollment"],
        "mails": world.book.mails,
    }
    return f'<p class="soft">{", ".join(f"{len(things)} {name}" for name, things in counts.items())}</p>'


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
    return (
        '<section class="card"><h2>Checkout'
        f" sessions</h2>{table(['Session', 'Status', 'Payment', 'E-mail'], rows, 'None yet.')}</section>"
    )


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
    return (
        '<section class="card"><h2>Webhook'
        f" deliveries</h2>{table(['Event', 'Attempt', 'Outcome', 'Answer'], rows, 'None yet.')}</section>"
    )
