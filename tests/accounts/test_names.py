"""Names of the world: typed, pasted, shown, mailed, sent to the LMS, exported, each the same
everywhere (faults E4, S2).
"""

import csv
import html
import io
import json
import unicodedata
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.forms import read_name
from accounts.models import User
from enrollments.batch_file import read
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from grants.models import Grant
from lms_sync.platforms.frappe_users import names
from maaledu.direction import isolated
from maaledu.names import ControlCharacters, clean_name
from maaledu.work.queue import drain
from notifications.models import Email
from notifications.outgoing import compose
from payments.forms import CheckoutForm
from tests.factories import make_course
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

NAMES = (
    """
Ana María Núñez|Zoë Brontë|Łukasz Żółć|Þórdís Æsa|Đặng Thị Hương|Şükran Iğdır|İpek Işık|Ørsted Åse
Jürgen Groß|Siân O’Connor|D'Angelo Smith|Jean-Luc Picard|Ngũgĩ wa Thiong'o|ʻOkina Kaʻahumanu
Анна Щербакова|Ђорђе Љубић|Ельза Ґудзь|Γιώργος Παπαδόπουλος|Ანი ბერიძე|Արամ Խաչատրյան
محمد أمين|می‌خواهم نسیم‌زاده|فاطمة الزهراء|עֲדִינָה כהן|שלמה בן-דוד|ئاراس|ޢަލީ|ܝܘܚܢܢ
क्‍षमा शर्मा|রবীন্দ্রনাথ|ਗੁਰਪ੍ਰੀਤ|தமிழ்ச்செல்வி|ശ്രീജിത്ത്|അവന്‍|සිංහල ශ්‍රී|ကျော်စွာ|ស្រីមុំ|สมชาย ใจดี
王小明|山田 太郎|ヴィクトリア|김민수|𠮷野家|བསྟན་འཛིན|መሰረት|Nguyễn 👩‍💻|X Æ A-12|O
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
MARKS = (
    "\u3164\uffa0\u115f\u1160\u17b4\u17b5\u2800\u034f"
    "\u200e\u200f\u2066\u2068\u2069\u202a\u202e\u00ad\u2060\ufeff\u200b"
)
LEFT_OUT = "We left out characters that cannot be seen."
CONTROLS = ["Ana\x00", "Ana\x07", "Ana\x7f", "A\x9fna", "Ana\ud800"]


def pasted(name: str) -> str:
    """Return the name as a page gives it: other composition, blanks and marks around and within."""
    words = "\u00a0\u00ad ".join(unicodedata.normalize("NFD", name).split())
    return f"\ufeff \u2068{words}\u2069\u200e\n"


@pytest.mark.no_database
def test_forty_names_are_kept_as_they_are_and_pasted_ones_are_the_same() -> None:
    assert len(NAMES) >= 40
    for name in NAMES:
        kept = unicodedata.normalize("NFC", name)
        assert (clean_name(name), clean_name(pasted(name))) == (kept, kept)
        assert clean_name(clean_name(name)) == kept


@pytest.mark.no_database
def test_joiners_stay_where_they_join_and_nowhere_else() -> None:
    assert clean_name("می\u200cخواهم") == "می\u200cخواهم"
    assert clean_name("അവന്\u200d") == "അവന്\u200d"
    assert clean_name("\u200dAna\u200c \u200dB\u200d\u200d") == "Ana B"
    assert clean_name(f"A{MARKS}na") == "Ana"


@pytest.mark.no_database
@pytest.mark.parametrize("name", CONTROLS)
def test_control_characters_are_refused_and_nothing_else_is(name: str) -> None:
    with pytest.raises(ControlCharacters):
        clean_name(name)
    with pytest.raises(ValidationError, match="without control characters"):
        read_name(name)


@pytest.mark.no_database
def test_the_lms_the_batch_and_the_export_have_the_same_name() -> None:
    for name in NAMES:
        kept = clean_name(name)
        assert " ".join(names("a@example.com", kept)).strip() == kept
        lines = read(f'email,name\na@example.com,"{pasted(name)}"'.encode())
        assert [(line.name, line.problem) for line in lines] == [(kept, "")]
    assert read(b"a@example.com,A\x07na")[0].problem == "name"


def enroll(client: Client, chosen: Sequence[str]) -> None:
    """Enroll a learner of each name, pasted into the form of a free course."""
    path = f"/checkout/{make_course(price=0).slug}/"
    for number, name in enumerate(chosen):
        form = {"email": f"n{number:02d}@example.com", "name": pasted(name)}
        address = {"REMOTE_ADDR": f"203.0.113.{number}"}
        assert client.post(path, {**form, "accept_terms": "on"}, **address).status_code == 302
        page = client.post(path, form, **address)  # the terms are missing
        assert page.status_code == 400
        assert f'name="name" value="{html.escape(clean_name(name))}"' in page.text
        assert page.text.count(LEFT_OUT) == 1


def in_the_lms(sandbox: Sandbox) -> dict[str, str]:
    sent = [json.loads(c["body"]) for c in sandbox.calls("lms", "POST /api/resource/User")]
    return {
        user["email"]: f"{user['first_name']} {user.get('last_name', '')}".strip() for user in sent
    }


def assert_mailed(email: str, name: str) -> None:
    message = compose(Email.objects.get(to=email))
    assert f"Hello {isolated(name)}," in message.body
    assert html.escape(isolated(name)) in str(message.alternatives[0][0])


def follow(client: Client, sandbox: Sandbox, chosen: Sequence[str]) -> None:
    """See each name the same in its form, the database, the LMS, the mail and the export."""
    sandbox.lms(user_limit=1_000)
    enroll(client, chosen)
    kept = {f"n{number:02d}@example.com": clean_name(name) for number, name in enumerate(chosen)}
    assert dict(Enrollment.objects.values_list("email", "name")) == kept
    assert drain(LMS_JOBS, budget=timedelta(minutes=1)) == len(chosen)
    assert in_the_lms(sandbox) == kept
    for email, name in kept.items():
        assert_mailed(email, name)
    client.force_login(User.objects.create_superuser("boss@example.com", "a long passphrase"))
    file = client.get("/admin/enrollments/enrollment/export.csv")
    rows = csv.DictReader(io.StringIO(file.getvalue().decode("utf-8-sig")))
    assert {row["E-mail"]: row["Name"] for row in rows} == kept


def test_a_name_goes_from_the_form_to_the_lms_and_into_the_mail(
    client: Client, db: None, sandbox: Sandbox
) -> None:
    follow(client, sandbox, [NAMES[at] for at in (12, 23, 33)])


def test_forty_names_are_the_same_wherever_they_are_shown_mailed_sent_and_exported(
    client: Client, db: None, sandbox: Sandbox
) -> None:
    follow(client, sandbox, NAMES)


@pytest.mark.no_database
def test_a_name_without_marks_gets_no_hint() -> None:
    form = CheckoutForm({"email": "a@example.com", "name": " Ana  می\u200cخواهم "})
    assert not form.is_valid()
    assert form["name"].help_text == ""
    assert form["name"].value() == " Ana  می\u200cخواهم "


def test_a_name_of_marks_alone_is_none(client: Client, db: None) -> None:
    course = make_course()
    form = {"email": "a@example.com", "name": MARKS, "situation": "s", "motivation": "m"}
    page = client.post(f"/grants/apply/{course.slug}/", {**form, "consent": "on"})
    assert (page.status_code, Grant.objects.count()) == (400, 0)
    assert "Please enter your name." in page.text


def test_a_name_corrected_on_the_second_try_is_the_one_that_counts(
    client: Client, db: None, sandbox: Sandbox
) -> None:
    """Fault E4."""
    slug = make_course().slug
    form = {"email": "a@example.com", "accept_terms": "on"}
    for name in ("Anna Mistyped", "Ana Right", ""):
        assert client.post(f"/checkout/{slug}/", {**form, "name": name}).status_code == 302
    assert Enrollment.objects.get().name == "Ana Right"
    Enrollment.objects.update(status="paid")
    client.post(f"/checkout/{slug}/", {**form, "name": "Somebody Else"})
    assert Enrollment.objects.get().name == "Ana Right"


def test_an_account_is_named_by_the_same_rule() -> None:
    user = User(email="a@example.com", name="Zoe\u0308\u200e")
    user.clean()
    assert user.name == "Zoë"
    with pytest.raises(ValidationError):
        User(email="a@example.com", name="A\x07").clean()


@pytest.mark.no_database
def test_a_name_that_grows_beyond_its_column_when_it_is_composed_is_refused() -> None:
    form = CheckoutForm({"email": "a@example.com", "name": "\u0958" * 140, "accept_terms": "on"})
    assert "at most 140 characters" in str(form.errors["name"])
