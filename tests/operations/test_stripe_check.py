"""`manage.py stripe_check` names what is wrong with the connection to Stripe, and only that.

Each problem is seeded by itself in one live sandbox; the real command reads it there.
"""

import ast
import io
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import User
from courses.models import Course
from maaledu.diagnosis import Result
from notifications.models import Email
from operations import stripe_check, stripe_endpoints, stripe_permissions
from payments import gateway, papers, webhooks
from payments.models import Reconciliation, StripeEvent, WebhookProblem
from payments.webhook_problems import PING
from tests.architecture import ROOT
from tests.factories import deliver, event_of, make_course, make_pending, session_of
from tests.notifications.recorder import recording
from tests.office.test_lms import worker_with
from tests.payments.test_webhook_problems import thin
from tests.processes import python
from tests.sandbox_client import STRIPE_KEY, Sandbox

pytestmark = pytest.mark.any_engine

OURS = "http://testserver/api/webhook"
RESTRICTED = "rk_test_shop1234"
LIVE_KEY = "sk_live_shop1234"
HOUR = 3600
EVENTS = sorted(webhooks.HANDLERS)
GUIDE = (ROOT / "docs" / "deployment.md").read_text()
# What each permission of the dashboard is called in Stripe's own sentences, and in the sandbox.
NAMES = {
    "Checkout Sessions": "checkout_session",
    "Refunds": "refund",
    "PaymentIntents": "payment_intent",
    "Charges": "charge",
    "Disputes": "dispute",
    "Early Fraud Warnings": "early_fraud_warning",
    "Events": "event",
    "Webhook Endpoints": "webhook",
    "Invoices": "invoice",
}
WITH_INVOICES = {"STRIPE_INVOICES": True}


def now(ago: int = 0) -> int:
    return int(timezone.now().timestamp()) - ago


def session(**fields: Any) -> dict[str, Any]:
    return {"object": "checkout.session", "id": "cs_of_nobody", **fields}


def permissions_of_the_guide() -> dict[str, str]:
    """Return the level of each permission that the deployment guide lists."""
    found = {}
    for level in ("write", "read"):
        [line] = re.findall(rf"^ +- {level}: (.+)[;.]$", GUIDE, re.MULTILINE)
        found |= dict.fromkeys(re.split(r"[,;] ", re.sub(r" with `\w+`", "", line)), level)
    return found


def granted(*, without: str = "") -> list[str]:
    """Return the guide's permissions, by Stripe's names, but for one."""
    return [
        f"{NAMES[resource]}_{level}"
        for resource, level in permissions_of_the_guide().items()
        if resource != without
    ]


@dataclass(frozen=True)
class Seed:
    """One thing that is wrong: how it is made so, the step that names it, and with which words."""

    step: str
    words: str
    make: Callable[[Sandbox], object] = Sandbox.state
    settings: dict[str, Any] = field(default_factory=dict)


def lack(resource: str) -> Seed:
    level = permissions_of_the_guide()[resource]
    return Seed(
        f"permission {resource}: {level}",
        f"Having the 'rak_{NAMES[resource]}_{level}' permission",
        lambda sandbox: sandbox.key(RESTRICTED, granted(without=resource)),
        {"STRIPE_SECRET_KEY": RESTRICTED, **WITH_INVOICES},
    )


def no_thin_list(sandbox: Sandbox) -> None:
    """The key may not read the newer list; the last event that reached us was a thin one."""
    sandbox.webhooks(payload="thin")
    sandbox.refuse(match="GET /v2/", status=403, message="No.")
    deliver(Client(), thin())


def undelivered(
    sandbox: Sandbox, about: dict[str, Any] | None = None, **event: Any
) -> dict[str, Any]:
    about = about or session()
    return sandbox.send_event("checkout.session.completed", about, created=now(HOUR), **event)


def lost_after_a_wrong_secret(sandbox: Sandbox) -> None:
    undelivered(sandbox)
    WebhookProblem.objects.create(kind="secret", explanation="Signed with another secret.")


def fetched_and_still_failing(sandbox: Sandbox) -> None:
    deliver(Client(), event_of(session(), id="evt_before"))
    StripeEvent.objects.update(created_at=timezone.now() - timedelta(hours=2))
    webhooks.receive_fetched(undelivered(sandbox))
    deliver(Client(), thin(PING))  # somebody tries an endpoint, which is no delivery


def lost_before_one_that_came(sandbox: Sandbox) -> None:
    undelivered(sandbox)
    deliver(Client(), event_of(session(), id="evt_after"))


def restored_from_a_backup(sandbox: Sandbox) -> None:
    """An event was delivered after the backup, so it is not here; a later one is."""
    deliver(Client(), event_of(session(), id="evt_before", created=now(2 * HOUR)))
    StripeEvent.objects.update(created_at=timezone.now() - timedelta(hours=2))
    delivered(sandbox)
    deliver(Client(), event_of(session(), id="evt_after"))


def delivered(sandbox: Sandbox, about: dict[str, Any] | None = None) -> None:
    """Make an event that our endpoint has taken, or nobody wanted, for all that Stripe knows."""
    with recording() as recorder:
        sandbox.webhooks(url=recorder.url, events="*")
        sandbox.deliver(undelivered(sandbox, about)["id"])
    sandbox.webhooks(url=OURS)


def sold_without_an_endpoint(sandbox: Sandbox) -> None:
    """The buyer's status page has asked Stripe: nothing else shows that no event ever comes."""
    delivered(sandbox, session_of(make_pending()[1]))


def old_default_version(sandbox: Sandbox) -> None:
    sandbox.webhooks(api_version="", default_version="2022-11-15")
    event = undelivered(sandbox, api_version="2022-11-15")
    deliver(Client(), {**event, "api_version": "2022-11-15"})


def made_twice(sandbox: Sandbox) -> None:
    stripe_endpoints.create()


def live_account_not_activated(sandbox: Sandbox) -> None:
    sandbox.key(LIVE_KEY)
    sandbox.account(charges_enabled=False)


KEY = "STRIPE_SECRET_KEY"
SEEDS = {
    "no key": Seed("key", "Set STRIPE_SECRET_KEY", settings={KEY: ""}),
    "a publishable key": Seed("key", "sk_live_", settings={KEY: "pk_test_1"}),
    "a blank in the key": Seed("key", "without blanks", settings={KEY: f"{STRIPE_KEY} "}),
    "a test key in live mode": Seed(
        "key", "is a test key but STRIPE_LIVEMODE is true", settings={"STRIPE_LIVEMODE": True}
    ),
    "a live key in test mode": Seed("key", "is a live key", settings={KEY: LIVE_KEY}),
    "a key of nobody": Seed("key", "Invalid API Key", settings={KEY: "sk_test_of_nobody"}),
    "an expired key": Seed(
        "key", "has expired. Make a new one", lambda sandbox: sandbox.key(STRIPE_KEY, expired=True)
    ),
    "a key without its account": Seed(
        "key", "Look at Stripe › Home", lambda sandbox: sandbox.refuse("account_invalid")
    ),
    "a key that expires meanwhile": Seed(
        "key",
        "has expired",
        lambda sandbox: sandbox.refuse("api_key_expired", match="GET /v1/charges"),
    ),
    "nobody listens": Seed(
        "answer", "APIConnectionError", settings={"STRIPE_API_BASE": "http://127.0.0.1:9"}
    ),
    "Stripe is down": Seed(
        "answer", "status.stripe.com", lambda sandbox: sandbox.fault("stripe", "503")
    ),
    "a proxy answers": Seed("answer", "proxy", lambda sandbox: sandbox.fault("stripe", "html_200")),
    "Stripe breaks off later": Seed(
        "answer", "firewall", lambda sandbox: sandbox.fault("stripe", "down", "GET /v1/webhook")
    ),
    "our clock is slow": Seed(
        "clock", "s behind Stripe's", lambda sandbox: sandbox.set_clock_ahead(70)
    ),
    "our clock is fast": Seed(
        "clock", "s ahead of Stripe's", lambda sandbox: sandbox.set_clock_ahead(-600)
    ),
    **{f"no {resource}": lack(resource) for resource in permissions_of_the_guide()},
    "a live account that is not activated": Seed(
        "account",
        "requirements.past_due, individual.verification.document",
        live_account_not_activated,
        {KEY: LIVE_KEY, "STRIPE_LIVEMODE": True},
    ),
    "an account that may not charge in test mode either": Seed(
        "sale in AED",
        "cannot currently make charges",
        lambda sandbox: sandbox.account(charges_enabled=False),
    ),
    "an account without a name": Seed(
        "sale in AED", "business name", lambda sandbox: sandbox.account(business_name="")
    ),
    "no payment method": Seed(
        "sale in AED", "payment method types", lambda sandbox: sandbox.refuse("no_payment_method")
    ),
    "tax is not set up": Seed(
        "sale in AED",
        "settings/tax",
        lambda sandbox: sandbox.account(tax_active=False),
        {"STRIPE_TAX": True},
    ),
    "a minimum of the bank account's currency": Seed(
        "sale in USD",
        "does not take $0.50, our least price",
        lambda sandbox: sandbox.account(default_currency="aed", settlement=["aed"]),
    ),
    "a payment page of another domain": Seed(
        "payment page",
        "http://pay.localhost:1, which our pages do not allow",
        lambda sandbox: sandbox.account(pay_url="http://pay.localhost:1"),
    ),
    "no endpoint": Seed("endpoint", OURS, lambda sandbox: sandbox.webhooks(url="", hold=False)),
    "an endpoint of another host": Seed(
        "endpoint",
        "Those there are: http://www.testserver/api/webhook.",
        lambda sandbox: sandbox.webhooks(url="http://www.testserver/api/webhook?key=secret"),
    ),
    "an address that is none of ours": Seed(
        "endpoint",
        "a redirect for a failure",
        lambda sandbox: sandbox.webhooks(url="http://testserver/api/webhooks"),
    ),
    "two endpoints": Seed("endpoint", "have our address, so that each", made_twice),
    "a disabled endpoint": Seed(
        "enabled", "› Enable", lambda sandbox: sandbox.webhooks(status="disabled")
    ),
    "an old version": Seed(
        "version",
        "is 2024-09-30.acacia, its own. Before 2024-10-28",
        lambda sandbox: sandbox.webhooks(api_version="2024-09-30.acacia"),
    ),
    "an old version of the account": Seed(
        "version", "is 2022-11-15, the account's", old_default_version
    ),
    "events missing": Seed(
        "events",
        "It does not send charge.dispute.closed, refund.failed.",
        lambda sandbox: sandbox.webhooks(
            events=[
                kind for kind in EVENTS if kind not in ("charge.dispute.closed", "refund.failed")
            ]
        ),
    ),
    "thin events": Seed(
        "payload",
        "ed_test_1SandboxMain000000 sends us thin events",
        lambda sandbox: sandbox.webhooks(payload="thin"),
    ),
    "thin events, as the last delivery shows": Seed("payload", "Snapshot", no_thin_list),
    "a delivery that failed": Seed("deliveries", "did not reach us", undelivered),
    "deliveries with a wrong secret": Seed(
        "deliveries", "Signed with another secret.", lost_after_a_wrong_secret
    ),
    "a database that was restored": Seed(
        "deliveries", "1 of the newest events", restored_from_a_backup
    ),
    "a sale whose events nobody delivers": Seed(
        "deliveries", "there is no endpoint for them", sold_without_an_endpoint
    ),
    "a delivery that failed before another": Seed(
        "deliveries", "1 of the last 3 days' events", lost_before_one_that_came
    ),
    "a delivery that failed and was fetched": Seed(
        "deliveries", "The last that did came", fetched_and_still_failing
    ),
}


def old_failure_that_was_fetched(sandbox: Sandbox) -> None:
    webhooks.receive_fetched(undelivered(sandbox))
    deliver(Client(), event_of(session(), id="evt_after"))


def restored_and_compared(sandbox: Sandbox) -> None:
    restored_from_a_backup(sandbox)
    done = timezone.now()
    Reconciliation.objects.create(kind="sessions", since=done, finished_at=done)


def failure_of_another_endpoint(sandbox: Sandbox) -> None:
    deliver(Client(), undelivered(sandbox))
    StripeEvent.objects.update(created_at=timezone.now() - timedelta(hours=2))


def disabled_thin_one(sandbox: Sandbox) -> None:
    stripe_endpoints.create()
    sandbox.webhooks(payload="thin", status="disabled")


def nothing_on_sale(sandbox: Sandbox) -> None:
    Course.objects.all().delete()
    sandbox.webhooks(api_version="")


# What is no problem: the step that says so, and with which words.
NO_PROBLEMS = {
    "all is well": Seed("payload", "Snapshot"),
    "the guide's restricted key": Seed(
        "account",
        "The key may not read the account",
        lambda sandbox: sandbox.key(RESTRICTED, granted()),
        {KEY: RESTRICTED, **WITH_INVOICES},
    ),
    "a restricted key that may read the account": Seed(
        "account",
        "acct_1Sandbox0000000 (US, usd) can charge",
        lambda sandbox: sandbox.key(RESTRICTED, [*granted(), "accounts_kyc_basic_read"]),
        {KEY: RESTRICTED},
    ),
    "no event yet": Seed("deliveries", "No event has reached us yet"),
    "no event yet, and another product's": Seed(
        "deliveries", "No event has reached us yet", delivered
    ),
    "a domain of one's own for the payment page": Seed(
        "payment page",
        "browsers lead buyers to it",
        lambda sandbox: sandbox.account(pay_url="https://pay.example.com"),
        {"STRIPE_PAY_PAGES": ["https://pay.example.com"]},
    ),
    "a clock a few seconds off": Seed(
        "clock", "differ by", lambda sandbox: sandbox.set_clock_ahead(40)
    ),
    "acacia": Seed(
        "version",
        "2024-10-28.acacia",
        lambda sandbox: sandbox.webhooks(api_version="2024-10-28.acacia"),
    ),
    "the account's version": Seed(
        "version",
        "2026-10-28.endive, the account's",
        lambda sandbox: sandbox.webhooks(api_version=""),
    ),
    "too many events": Seed(
        "events",
        "what we ignore: payout.paid",
        lambda sandbox: sandbox.webhooks(events=[*EVENTS, "payout.paid"]),
    ),
    "every event": Seed("events", "we ignore: *", lambda sandbox: sandbox.webhooks(events="*")),
    "a restored database that was compared with Stripe": Seed(
        "deliveries", "the last event reached us", restored_and_compared
    ),
    "another endpoint's failures": Seed(
        "deliveries", "the last event reached us", failure_of_another_endpoint
    ),
    "an old failure that was fetched": Seed(
        "deliveries", "1 before it did not, and were fetched", old_failure_that_was_fetched
    ),
    "a delivery on its way": Seed(
        "deliveries",
        "No event",
        lambda sandbox: sandbox.send_event("checkout.session.completed", session()),
    ),
    "a disabled destination of thin events": Seed("payload", "Snapshot", disabled_thin_one),
    "our other address": Seed(
        "endpoint",
        "has our address",
        lambda sandbox: sandbox.webhooks(url="http://TESTSERVER/webhooks/stripe/"),
    ),
    "tax and invoices": Seed(
        "sale in USD", "$0.50", settings={"STRIPE_TAX": True, **WITH_INVOICES}
    ),
}


@contextmanager
def seeded(sandbox: Sandbox, seed: Seed) -> Iterator[None]:
    """Have everything right at Stripe and here, but for this."""
    sandbox.reset()
    sandbox.webhooks(url=OURS, hold=True, events=EVENTS)
    for model in (StripeEvent, WebhookProblem, Email):
        model.objects.all().delete()
    with override_settings(**seed.settings):
        seed.make(sandbox)
        yield


def examined(sandbox: Sandbox, seed: Seed) -> list[Result]:
    with seeded(sandbox, seed):
        return list(stripe_check.examine())


@pytest.fixture
def courses(db: None) -> None:
    make_course(currency="usd")
    make_course(currency="aed")
    make_course(currency="aed")
    make_course(currency="eur", status="draft")
    make_course(currency="gbp", price=0)


def test_each_problem_seeded_by_itself_is_named_and_only_it(
    sandbox: Sandbox, courses: None
) -> None:
    found = {}
    for name, seed in SEEDS.items():
        results = [result for result in examined(sandbox, seed) if not result.ok]
        steps = [result.step for result in results]
        has_words = any(seed.words in f"{each.message} {each.advice}" for each in results)
        found[name] = (steps, has_words, [each for each in results if not has_words])
    assert found == {name: ([seed.step], True, []) for name, seed in SEEDS.items()}


def test_what_is_no_problem_is_named_as_none(sandbox: Sandbox, courses: None) -> None:
    for name, seed in NO_PROBLEMS.items():
        results = examined(sandbox, seed)
        assert [result for result in results if not result.ok] == [], name
        said = [each.message for each in results if each.step == seed.step]
        assert any(seed.words in message for message in said), (name, said)


@pytest.mark.every_engine
@pytest.mark.parametrize("name", [name for name in SEEDS if "deliver" in name])
def test_what_refused_deliveries_have_shown_is_named_on_every_engine(
    sandbox: Sandbox, courses: None, name: str
) -> None:
    [problem] = [result for result in examined(sandbox, SEEDS[name]) if not result.ok]
    assert SEEDS[name].words in f"{problem.message} {problem.advice}"


def test_every_problem_says_what_to_do_and_shows_no_secret(sandbox: Sandbox, courses: None) -> None:
    problems = [
        result
        for name in ("a key of nobody", "no Events", "no endpoint", "a disabled endpoint")
        for result in examined(sandbox, SEEDS[name])
        if not result.ok
    ]
    assert [bool(result.advice) for result in problems] == [True] * 4
    said = " ".join(f"{result.message} {result.advice}" for result in problems)
    assert not re.search(rf"{STRIPE_KEY}|{RESTRICTED}|sk_test_of_nobody|whsec_", said)


def test_it_changes_nothing_but_sessions_that_nobody_can_pay_and_alerts_nobody(
    sandbox: Sandbox, courses: None
) -> None:
    examined(sandbox, NO_PROBLEMS["all is well"])
    assert [(each["status"], each["amount_total"]) for each in sandbox.sessions()] == [
        ("expired", 200),
        ("expired", 50),
    ]
    written = {call["call"].split("/")[2] for call in sandbox.calls("stripe", "POST")}
    assert written == {"checkout", "refunds"}
    assert sandbox.book("refunds") == []
    examined(sandbox, SEEDS["no Refunds"])
    assert not Email.objects.exists()


# --- the command ----------------------------------------------------------------------------------
def run(**options: Any) -> str:
    out = io.StringIO()
    call_command("stripe_check", stdout=out, no_color=True, **options)
    return out.getvalue()


def test_the_command_says_each_step_in_its_order(sandbox: Sandbox, courses: None) -> None:
    with seeded(sandbox, NO_PROBLEMS["all is well"]):
        said = run()
    steps = [re.split(r"^\w+ +", line)[1].partition(": ")[0] for line in said.splitlines()[:-1]]
    assert [step for step in steps if not step.startswith("permission")] == [
        "key", "clock", "account", "sale in AED", "sale in USD",
        "payment page", "endpoint", "enabled", "version", "events", "payload", "deliveries",
    ]  # fmt: skip
    assert said.endswith("All is well.\n")


def test_the_command_ends_with_1_when_a_problem_is_found(sandbox: Sandbox, courses: None) -> None:
    out = io.StringIO()
    with (
        seeded(sandbox, SEEDS["a disabled endpoint"]),
        pytest.raises(CommandError, match="1 to put right") as caught,
    ):
        call_command("stripe_check", stdout=out, no_color=True)
    assert caught.value.returncode == 1
    assert "\nPROBLEM enabled: we_1SandboxMain000000 is disabled" in out.getvalue()
    assert "\n        Stripe's dashboard › Developers › Webhooks › we_1" in out.getvalue()


def test_an_endpoint_is_made_with_our_events_and_version_and_its_secret_is_never_logged(
    sandbox: Sandbox, process_env: dict[str, str]
) -> None:
    sandbox.webhooks(url="", hold=False)
    done = subprocess.run(
        python("manage.py", "stripe_check", "--create-endpoint"),
        cwd=ROOT,
        env={**process_env, "LOG_LEVEL": "DEBUG", "SITE_URL": "http://testserver"},
        capture_output=True,
        text=True,
        check=True,
    )
    [made] = stripe_check.ask(stripe_check.client().v1.webhook_endpoints.list)["data"]
    assert (made["url"], made["api_version"]) == (OURS, django_settings.STRIPE_API_VERSION)
    assert made["enabled_events"] == EVENTS
    [secret] = re.findall(r"whsec_\S+", done.stdout + done.stderr)
    assert secret in done.stdout
    sandbox.webhooks(url="", hold=False)
    assert [result for result in stripe_check.examine() if not result.ok] == []
    with pytest.raises(CommandError, match=f"{made['id']} is as it should be"):
        run(create_endpoint=True)


def test_a_key_that_may_not_make_an_endpoint_says_so(sandbox: Sandbox, settings: Any) -> None:
    sandbox.key(RESTRICTED, granted())
    settings.STRIPE_SECRET_KEY = RESTRICTED
    with pytest.raises(CommandError, match="Having the 'rak_webhook_write' permission"):
        run(create_endpoint=True)
    assert not Email.objects.exists()


# --- what the product asks for --------------------------------------------------------------------
WRITES = {"create", "expire", "cancel", "update", "modify", "delete"}
NAMESPACES = {"checkout", "sessions", "radar", "early_fraud_warnings"}
EXPANDED = {"payment_intent": "PaymentIntents", "latest_charge": "Charges", "invoice": "Invoices"}


def asked_in(source: str) -> dict[str, str]:
    """Return the level at which the code uses each resource of the SDK: `v1.refunds.create`, or of
    an address whose lists are read as they are sent: "/v1/refunds".
    """
    levels: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and str(node.value).startswith("/v1/"):
            levels.setdefault(str(node.value).removeprefix("/v1/").replace("/", "."), "read")
        if not isinstance(node, ast.Attribute):
            continue
        path = ast.unparse(node).partition(".v1.")[2]
        resource, _, verb = path.rpartition(".")
        if verb in WRITES:
            levels[resource] = "write"
        elif path and verb not in NAMESPACES:
            levels.setdefault(resource or path, "read")
    return levels


def test_the_guide_and_the_check_name_every_permission_that_the_code_asks_for() -> None:
    asked: dict[str, str] = {}
    for module in (ROOT / "payments").rglob("*.py"):
        for resource, level in asked_in(module.read_text()).items():
            asked[resource] = "write" if "write" in (level, asked.get(resource)) else "read"
    checked = (*stripe_permissions.ALWAYS, *stripe_permissions.WITH_INVOICES)
    by_resource = {each.method.rpartition(".")[0]: each for each in checked}
    assert {name: by_resource[name].level for name in asked} == asked
    expands = [*papers.EXPANDED.values(), *gateway.WITH_INTENT["expand"]]
    expands += [each.removeprefix("data.") for each in gateway.EACH_WITH_INTENT["expand"]]
    shown = {EXPANDED[part] for each in expands for part in each.split(".")}
    needed = {by_resource[name].resource for name in asked} | shown | {"Webhook Endpoints"}
    assert {each.resource: each.level for each in checked} == permissions_of_the_guide()
    assert needed == set(permissions_of_the_guide())


def test_the_guide_lists_exactly_the_events_that_we_handle() -> None:
    [said] = re.findall(r"- exactly these events: (.+?)\n   - ", GUIDE, re.DOTALL)
    assert sorted(re.findall(r"`([a-z_.]+)`", said)) == EVENTS


# --- the office -----------------------------------------------------------------------------------
PAGE = "/admin/stripe-check/"


@pytest.mark.every_engine
def test_staff_check_stripe_from_the_office(
    sandbox: Sandbox, courses: None, office: Client, boss: User
) -> None:
    listed = office.get("/admin/payments/webhookproblem/").content.decode()
    assert "Check Stripe" in listed
    assert office.get("/admin/payments/webhookproblem/check/")["Location"] == PAGE
    with seeded(sandbox, SEEDS["a disabled endpoint"]):
        before = len(sandbox.calls("stripe"))
        assert "Check now" in office.get(PAGE).content.decode()
        assert len(sandbox.calls("stripe")) == before
        page = office.post(PAGE).content.decode()
    assert "1 to put right before Stripe can be relied on." in page
    assert page.index("is disabled: by somebody") < page.index("Stripe takes it: a secret key")
    assert not re.search(rf"{STRIPE_KEY}|whsec_", page)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.get_change_message()) == (boss, "checked Stripe: 1 problem")


def test_the_check_takes_its_permission(sandbox: Sandbox) -> None:
    before = len(sandbox.calls("stripe"))
    assert Client().post(PAGE).status_code == 302
    may_look = worker_with("view_webhookproblem")
    assert "Check Stripe" not in may_look.get("/admin/payments/webhookproblem/").content.decode()
    assert [may_look.get(PAGE).status_code, may_look.post(PAGE).status_code] == [403, 403]
    assert len(sandbox.calls("stripe")) == before
    User.objects.all().delete()
    may_check = worker_with("view_webhookproblem", "check_webhookproblem")
    assert "Check Stripe" in may_check.get("/admin/payments/webhookproblem/").content.decode()
    assert may_check.post(PAGE).status_code == 200
    assert len(sandbox.calls("stripe")) > before
