"""Every page is in our look, and none of them needs an exception in the content security policy."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse

pytestmark = pytest.mark.any_engine

TEMPLATES = Path(settings.BASE_DIR, "templates")
PAGES = sorted(
    path.relative_to(TEMPLATES).as_posix()
    for path in TEMPLATES.rglob("*.html")
    # Mails, and a report that is written to a file and opened from there, have no style sheet.
    if "email" not in path.parent.name and path.parts[-2:] != ("legacy", "report.html")
)
INLINE = re.compile(
    r'\sstyle=|<style|\son[a-z]+="|javascript:'
    r'|<script(?![^>]*(\ssrc=|type="application/(ld\+)?json"))'  # data is not run
)
ENTRANCE = ["account_login", "account_signup", "account_reset_password", "account_inactive"]
SIGNED_IN = [
    "account_email",
    "account_change_password",
    "account_logout",
    "account",
    "account_reauthenticate",
]


def test_the_pages_were_found():
    assert {
        "base.html",
        "error.html",
        "courses/catalogue.html",
        "enrollments/_status.html",
        "account/login.html",
    } <= set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_no_page_holds_inline_style_or_script(name):
    assert INLINE.findall((TEMPLATES / name).read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        '<p style="x">',
        "<style>",
        '<a onclick="x()">',
        "<script>x</script>",
        '<script type="module">x</script>',
        '<a href="javascript:x">',
    ],
)
def test_the_search_for_inline_style_and_script_has_teeth(text):
    assert INLINE.search(text)


def assert_in_our_look(response) -> None:
    page = response.content.decode()
    assert response.status_code == 200, page[:500]
    assert f"<span>{settings.SITE_NAME}</span>" in page
    assert f"mailto:{settings.SUPPORT_EMAIL}" in page
    assert "Sandbox: no real money moves." in page
    assert page.count("<h1") == 1
    assert '<a class="skip-link" href="#main">' in page
    labelled = set(re.findall(r'<label for="([^"]+)"', page))
    shown = re.findall(r'<(?:input|select|textarea)(?![^>]*type="hidden")[^>]*\bid="([^"]+)"', page)
    assert set(shown) <= labelled


@pytest.mark.django_db
@pytest.mark.parametrize("name", ENTRANCE)
def test_account_pages_for_visitors_are_in_our_look(client, name):
    assert_in_our_look(client.get(reverse(name)))


@pytest.mark.django_db
@pytest.mark.parametrize("name", SIGNED_IN)
def test_account_pages_for_members_are_in_our_look(client, django_user_model, name):
    client.force_login(
        django_user_model.objects.create_user("amal@example.org", "correct horse battery")
    )
    assert_in_our_look(client.get(reverse(name)))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "data", "title"),
    [
        (
            "account_signup",
            {"email": "new@example.org", "password1": "correct horse battery"},
            "Confirm your e-mail address",
        ),
        ("account_reset_password", {"email": "nobody@example.org"}, "Enter the code"),
    ],
)
def test_the_pages_that_ask_for_a_code_are_in_our_look(client, name, data, title):
    page = client.post(reverse(name), data, follow=True)
    assert_in_our_look(page)
    assert title in page.content.decode()


@pytest.mark.django_db
def test_a_refused_sign_in_ties_its_errors_to_the_fields(client):
    page = client.post(
        reverse("account_login"), {"login": "no address", "password": ""}
    ).content.decode()
    assert 'role="alert"' in page
    assert re.search(
        r'<input[^>]*name="login"[^>]*aria-invalid="true"[^>]*aria-describedby="id_login_error"',
        page,
    )
    assert 'id="id_login_error"' in page
    assert 'href="#id_login"' in page


VIEW = {
    "steps": [],
    "next_attempt_at": None,
    "unavailable_since": None,
    "course_link": "",
    "sign_in": "",
    "retry_url": "",
    "support_email": "",
    "poll": False,
    "poll_seconds": 2,
    "headline": "Headline",
    "detail": "Detail",
}


def fragment(state: str, request=None, **view) -> str:
    enrollment = SimpleNamespace(
        token="token",
        id="id",
        course_slug="a",
        course_title="A",
        email="a@example.org",
        amount=0,
        kind="free",
        get_absolute_url="/x/",
    )
    context = {
        "enrollment": enrollment,
        "view": {**VIEW, "state": state, **view},
        "request": request,
    }
    return render_to_string("enrollments/_status.html", context)


def test_the_status_fragment_polls_only_while_something_can_change():
    assert (
        'hx-get="/enrollments/token/status/?seen=paid_setting_up" hx-trigger="every 2s"'
        in fragment("paid_setting_up", poll=True)
    )
    assert "<noscript>" in fragment("paid_setting_up", poll=True)
    assert "hx-" not in fragment("ready", course_link="https://lms.example/a")


@pytest.mark.parametrize(
    ("state", "view", "label"),
    [
        ("ready", {"course_link": "https://lms.example/a"}, "Go to your course"),
        ("awaiting_payment", {"retry_url": "/pay"}, "Continue to payment"),
        ("failed", {"retry_url": "/checkout/a/"}, "Try again"),
    ],
)
def test_the_status_fragment_offers_the_one_next_step(state, view, label):
    page = fragment(state, **view)
    assert re.search(rf'<a class="button" id="[^"]+" href="[^"]+">{label}</a>', page)


@pytest.mark.parametrize(("seen", "spoken"), [("paid_setting_up", True), ("ready", False)])
def test_a_change_is_announced_once_and_a_poll_without_change_is_silent(seen, spoken):
    asking = SimpleNamespace(htmx=True, GET={"seen": seen})
    assert ("#status-news" in fragment("ready", request=asking)) is spoken
    assert "#status-news" not in fragment("ready", request=SimpleNamespace(htmx=False, GET={}))


def test_the_status_fragment_never_links_to_a_course_without_access():
    assert "lms.example" not in fragment("lms_unavailable", course_link="https://lms.example/a")


CONFIRMATION = {
    "customer_name": "Ann & <b>Bob</b>",
    "course_title": "Data <b>Analysis</b>",
    "amount": "$499.00",
    "course_link": "https://lms.example/a?b=1&c=2",
    "site_name": "MaalEdu",
    "support_email": "help@example.org",
}


def test_the_confirmation_escapes_in_html_and_not_in_text():
    html = render_to_string("email/purchase_confirmation.html", CONFIRMATION)
    text = render_to_string("email/purchase_confirmation.txt", CONFIRMATION)
    assert "Ann &amp; &lt;b&gt;Bob&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "Ann & <b>Bob</b>" in text
    assert "https://lms.example/a?b=1&c=2" in text
    assert "$499.00" in html
    assert "$499.00" in text


@pytest.mark.parametrize("kind", ["purchase_confirmation", "staff_alert"])
@pytest.mark.parametrize("part", ["subject.txt", "txt", "html"])
def test_an_email_without_any_variables_is_still_whole(kind, part):
    message = render_to_string(f"email/{kind}.{part}", {})
    assert message.strip()
    assert "None" not in message
    assert 'href=""' not in message


def test_a_subject_is_one_line():
    assert (
        render_to_string(
            "email/purchase_confirmation.subject.txt", {"course_title": "A & B"}
        ).strip()
        == "Your course is ready: A & B"
    )
