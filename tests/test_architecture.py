"""The rules of the design hold, and each rule is shown to catch a breach of it."""

import functools

import pytest

from tests.architecture import BANS, Function, Module, functions, import_violations, product
from tests.duplicates import duplicates

pytestmark = pytest.mark.no_database

LONGEST_FUNCTION = 40
MEDIAN_FUNCTION = 8
NINETIETH_PERCENTILE = 25
LONGEST_MODULE = 300
DEEPEST_NESTING = 3
MOST_PARAMETERS = 5
# Lists rather than logic: every setting; the shapes of a cover; the fields of Stripe's error body.
LONGER_MODULES = {"maaledu.settings"}
# What may be alike, at most three pairs: a payout of the demo's is written as one that was paid,
# never by the way a draft goes.
ALIKE = {("affiliates.payout_drafts", "demo.history")}
MORE_PARAMETERS = {"sandbox.stripe_errors.__init__"}


@functools.cache
def product_functions() -> list[Function]:
    """Every function of the product: read by the tests that ask, as each process of a run imports
    this module.
    """
    return [function for module in product() for function in functions(module)]


def snippet(source: str, name: str = "courses.catalogue") -> Module:
    return Module.parse(name, source)


def test_the_product_was_found():
    names = {module.name for module in product()}
    assert {
        "maaledu.db",
        "enrollments.fulfillment",
        "payments.gateway",
        "office.grants",
        "sandbox.server",
    } <= names


# --- imports --------------------------------------------------------------------------------------


def test_imports_go_down_only():
    assert [breach for module in product() for breach in import_violations(module)] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("maaledu.db", "from courses.models import Course"),
        ("maaledu.urls", "from operations import health"),
        ("accounts.models", "import courses.models"),
        ("notifications.outgoing", "import lms_sync.models"),
        ("lms_sync.delivery", "from grants import redemption"),
        ("grants.applications", "from affiliates.models import Affiliate"),
        ("enrollments.fulfillment", "from payments import settlement"),
        ("payments.checkout", "from storefront.errors import EnrollmentNotFound"),
        ("office.grants", "from operations import health"),
        ("operations.queues", "def f():\n    from office import grants"),
        ("courses.views", "from maaledu.urls import urlpatterns"),
        ("courses.views", "from maaledu import settings"),
        ("payments.checkout", "from sandbox.server import Server"),
        ("sandbox.server", "from maaledu.errors import AppError"),
        ("payments.checkout", "from tests.factories import make_course"),
    ],
)
def test_control_an_import_upward_or_sideways_is_caught(name, source):
    assert len(list(import_violations(snippet(source, name)))) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "enrollments.fulfillment",
            (
                "from lms_sync import delivery\nfrom notifications import outgoing\nfrom maaledu.db"
                " import atomic"
            ),
        ),
        (
            "lms_sync.delivery",
            (
                "from courses.models import Course\nfrom lms_sync.errors import LmsError\nimport"
                " requests"
            ),
        ),
        (
            "operations.queues",
            "from payments import webhooks\nfrom maaledu.work.queue import Queue",
        ),
        ("grants.applications", "from notifications import outgoing"),
        ("sandbox.server", "from sandbox.world import World\nimport json"),
    ],
)
def test_control_imports_downward_are_allowed(name, source):
    assert list(import_violations(snippet(source, name))) == []


# --- bans -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ban", BANS, ids=lambda ban: ban.what)
def test_nothing_banned_is_used(ban):
    assert [breach for module in product() for breach in ban.violations(module)] == []


BREACHES = {
    "assigns a status: maaledu.db.transition does that": [
        "enrollment.status = 'paid'",
        "self.lms_status = SUCCESS",
        "a = b.status = 'x'",
        "enrollment.note, enrollment.status = '', 'paid'",
        "setattr(enrollment, 'status', 'paid')",
        "object.__setattr__(enrollment, 'status', 'paid')",
        "enrollment.__dict__['status'] = 'paid'",
        "vars(enrollment)['status'] = 'paid'",
        "for name, value in {'note': '', 'status': 'paid'}.items(): setattr(a, name, value)",
        "for name in names: setattr(enrollment, name, 'paid')",
        "def f(row, fields):\n    for name, value in fields.items(): setattr(row, name, value)",
    ],
    "updates a status: maaledu.db.transition does that": [
        "Enrollment.objects.filter(pk=1).update(status='paid')",
        "rows.update(lms_status='success')",
        "Enrollment.objects.update(**{'status': 'paid'})",
        "paid = {'status': 'paid'}\nEnrollment.objects.update(**paid, note='')",
        "def f():\n    a = {}\n    a['status'] = 'paid'\n    Enrollment.objects.update(**a)",
        "def f():\n    a = dict(status='paid')\n    b = {**a}\n    rows.update(**b)",
        "def f():\n    a = {} | {'status': 'paid'}\n    rows.update(**a)",
        "rows.update(**({'status': 'paid'} if a else {}))",
        "def f(): return {'status': 'paid'}\nrows.update(**f())",
        "def f(a): rows.update(**a)\nf({'status': 'paid'})",
        "def f(**a): rows.update(**a)\nf(status='paid')",
        "def f(rows): rows.update(status='paid')\nf(Enrollment.objects.all())",
        "def f(changes): Enrollment.objects.update(**changes)",
        "Enrollment.objects.update(**{name: 'paid'})",
        "Enrollment.objects.update(**form.cleaned_data)",
        "for a in b:\n    a['note'] = 1\n    rows.update(**a)",
        "Enrollment.objects.bulk_update(rows, ['note', 'status'])",
        "transition(enrollment, 'paid', lms_status='pending')",
        "paid = {'status': 'paid'}\ntransition(enrollment, 'success', field='lms_status', **paid)",
    ],
    "creates a row in a status of its own: it is born in the first one": [
        "Enrollment.objects.create(status='paid')",
        "Enrollment(status='paid')",
        "models.Enrollment(**{'status': 'paid'})",
        "fields = {'status': 'paid'}\nEnrollment(**fields)",
        "def f(**fields): return Enrollment(**fields)",
        "Enrollment.objects.get_or_create(email='a', defaults={'status': 'paid'})",
        "fields = {'status': 'paid'}\nEnrollment.objects.update_or_create(defaults=fields)",
        "Enrollment.objects.bulk_create([Enrollment(status='paid')])",
        "self.model(status='paid')",
    ],
    "select_for_update does nothing on two of the engines": [
        "Course.objects.select_for_update().get()"
    ],
    "prefetch_related": ["Course.objects.prefetch_related('enrollments')"],
    "signals": [
        "from django.dispatch import receiver",
        "from django.db.models.signals import post_save",
    ],
    "only the gateway knows stripe": [
        "import stripe",
        "from stripe import StripeClient",
        "import stripe.error",
    ],
    "imports inside a function": [
        "def f():\n    import json",
        "class A:\n    def f(self):\n        if 1:\n            from a import b",
    ],
    "only maaledu.db opens transactions": [
        "from django.db import transaction\nwith transaction.atomic():\n    pass",
        "from django.db import transaction\n@transaction.atomic\ndef f(): pass",
        "from django.db.transaction import atomic",
        "from django_mongodb_backend.transaction import atomic",
    ],
    "floats and decimals": [
        "total = float(price)",
        "price = models.DecimalField(max_digits=9)",
        "models.FloatField()",
        "Decimal('1')",
        "half = course.price / 2",
        "tip = amount * 0.1",
    ],
    "sleeps": ["import time\ntime.sleep(1)", "from time import sleep\nsleep(1)"],
    "only maaledu.celery sends Celery messages": [
        "drain.delay('x')",
        "drain.apply_async()",
        "app.send_task('x')",
    ],
    "MongoDB cannot ignore conflicts": ["Course.objects.bulk_create(rows, ignore_conflicts=True)"],
    "only the settings read the environment": [
        "import os\nos.environ['A']",
        "import os\nos.getenv('A')",
        "from os import environ",
    ],
    "a catch-all name": ["x = 1"],
    "marks a string as safe HTML": ["mark_safe(title)"],
}


@pytest.mark.parametrize(
    ("what", "source"), [(what, source) for what, sources in BREACHES.items() for source in sources]
)
def test_control_each_ban_catches_its_breach_and_only_that(what, source):
    module = snippet(source, "courses.utils" if what == "a catch-all name" else "courses.catalogue")
    assert {ban.what for ban in BANS if ban.violations(module)} == {what}


def test_every_ban_has_its_control():
    assert set(BREACHES) == {ban.what for ban in BANS}


def test_control_what_is_alike_but_allowed_passes():
    source = """
from django.db import transaction
transaction.on_commit(f)
if enrollment.status == PAID: pass
status = 'paid'
Enrollment.objects.filter(status='paid').update(note='x')
Enrollment.objects.filter(status='paid').update(**{'note': 'x'})
Enrollment.objects.get_or_create(email='a', defaults={'note': 'x'})
transition(enrollment, 'paid', edge='reinstate', note='x')
Course.objects.create(title='x')
GrantEvent.objects.create(from_status='pending', to_status='approved')
ReferralDay.objects.update(**counts)
JsonResponse({'status': 'ok'}, status=200)
body.update(note='x')
total = price * count // 100
half = seconds / 2
"""
    assert [ban.what for ban in BANS if ban.violations(snippet(source))] == []


def test_control_an_exception_covers_its_own_module_only():
    ban = next(ban for ban in BANS if ban.what.endswith("sends Celery messages"))
    source = "app.send_task('x')"
    assert ban.violations(snippet(source, "maaledu.celery")) == []
    assert len(ban.violations(snippet(source, "maaledu.celeryish"))) == 1


# --- sizes ----------------------------------------------------------------------------------------


def test_functions_are_short():
    lengths = sorted(function.lines for function in product_functions())
    assert lengths[len(lengths) // 2] <= MEDIAN_FUNCTION
    assert lengths[len(lengths) * 9 // 10] <= NINETIETH_PERCENTILE
    assert [function for function in product_functions() if function.lines > LONGEST_FUNCTION] == []


def test_functions_are_flat_and_take_few_parameters():
    assert [
        function for function in product_functions() if function.nesting > DEEPEST_NESTING
    ] == []
    many = {
        function.name.partition(":")[0]
        for function in product_functions()
        if function.parameters > MOST_PARAMETERS
    }
    assert many <= MORE_PARAMETERS


def test_modules_are_short():
    assert {module.name for module in product() if module.lines > LONGEST_MODULE} <= LONGER_MODULES


def test_no_code_stands_in_two_places():
    found = {(a.module, b.module): (a.line, b.line) for a, b in duplicates(product())}
    assert {pair: lines for pair, lines in found.items() if pair not in ALIKE} == {}
    assert set(found) >= ALIKE


def test_control_code_that_stands_in_two_places_is_found_once():
    body = "\n".join(f"x{number} = {number}" for number in range(8))
    first = snippet(f"import json\n{body}\ny = 1\n", "courses.first")
    second = snippet(f'"""Words."""\n\nz = 2\n# why\n{body}\n', "courses.second")
    short = snippet("\n".join(body.splitlines()[:5]), "courses.short")
    assert duplicates([first, second, short]) == [(("courses.first", 2), ("courses.second", 5))]


def test_control_sizes_are_measured():
    body = "\n".join(f"    x{number} = {number}" for number in range(60))
    deep = (
        "    for a in b:\n        if a:\n            with a:\n                while a:\n           "
        "         pass"
    )
    chain = "    if a:\n        pass\n    elif b:\n        pass\n    elif c:\n        pass"
    source = (
        f'def long(a, b, *, c, d, e, f):\n    """One.\n\n    Two.\n    """\n{body}\ndef'
        f" deep():\n{deep}\ndef chain():\n{chain}\n"
    )
    long, nested, flat = functions(snippet(source))
    assert (long.lines, long.parameters, long.positional) == (61, 6, 2)
    assert (nested.nesting, flat.nesting) == (4, 1)
