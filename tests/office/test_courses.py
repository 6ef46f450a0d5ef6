import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.urls import reverse

from courses import publishing
from courses.models import Course
from tests.concurrency import beside_save
from tests.factories import COMPLETE, make_course, taught_by
from tests.grants.make import make_coupon
from tests.office.typed import sent
from tests.statements import statements

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
LIST = "admin:courses_course_changelist"


@pytest.fixture
def staff(client, django_user_model):
    client.force_login(
        django_user_model.objects.create_superuser("staff@example.org", "correct horse battery")
    )
    return client


def run(client, action: str, *courses: Course) -> str:
    data = {"action": action, "_selected_action": [str(course.pk) for course in courses]}
    return client.post(reverse(LIST), data, follow=True).content.decode()


@pytest.mark.every_engine
def test_the_list_the_form_and_the_search_open(staff):
    course = make_course(title="Bookkeeping")
    assert staff.get(reverse("admin:courses_course_add")).status_code == 200
    assert staff.get(reverse("admin:courses_course_change", args=[course.pk])).status_code == 200
    assert (
        "Bookkeeping"
        in staff.get(
            reverse(LIST), {"q": course.slug, "status__exact": "published"}
        ).content.decode()
    )


@pytest.mark.every_engine
def test_the_page_of_a_draft_is_read_in_eight_statements(staff):
    course = make_course(status="draft", instructors=taught_by("Ada"), **COMPLETE)
    page = reverse("admin:courses_course_change", args=[course.pk])
    staff.get(page)  # what waits is counted for the sidebar, and kept for a while
    with statements() as found:
        staff.get(page)
    assert len(found) <= 8


def test_publishing_reports_what_it_did_and_leaves_a_log_entry(staff):
    draft, done = make_course(status="draft", **COMPLETE), make_course(**COMPLETE)
    listed = staff.get(reverse(LIST)).content.decode()
    assert listed.count('form="decide-publish"') == 1  # for the draft alone
    assert listed.count('id="decide-publish"') == 1
    page = run(staff, "publish", draft, done)
    assert "1 put on sale, 1 skipped." in page
    assert set(Course.objects.values_list("status", flat=True)) == {"published"}
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(draft.pk)]


def test_an_incomplete_course_is_skipped_with_its_reason(staff):
    course = make_course(status="draft", description="")
    page = run(staff, "publish", course)
    assert "cannot be published yet" in page
    assert "0 put on sale, 1 skipped." in page
    assert Course.objects.get().status == "draft"


def test_a_draft_lists_what_it_lacks_each_with_the_way_to_its_field(staff):
    course = make_course(status="draft", **{**COMPLETE, "outcomes": [], "lms_facts_at": None})
    page = reverse("admin:courses_course_change", args=[course.pk])
    answer = staff.get(page)
    found = [(way, gap.is_essential) for gap, way in answer.context["gaps"]]
    assert found == [
        ("#id_outcomes", True),
        ("#id_lms_course_id", True),
        ("#id_duration_hours", False),
        ("#id_instructors", False),
        ("#id_sample_title", False),
    ]
    shown = answer.content.decode()
    assert all(f'id="{way[1:]}"' in shown for way, _ in found)
    assert "Not ready to be sold" in shown
    data = {"action": "publish", "_selected_action": [str(course.pk)], "back": page}
    answer = staff.post(reverse(LIST), data, follow=True)
    assert answer.request["PATH_INFO"] == page
    assert "It has no outcomes: what a learner can do afterwards. The LMS has not" in (
        answer.content.decode()
    )
    assert Course.objects.get().status == "draft"


def test_rows_are_added_moved_and_removed_without_saving_and_nothing_is_lost(staff):
    course = make_course(instructors=taught_by("Ada, Analyst"), **COMPLETE)
    page = reverse("admin:courses_course_change", args=[course.pk])
    typed = {**sent(staff.get(page).context["adminform"].form), "title": "Typed", "price": "x"}

    def press(button: str, **more: str) -> dict:
        form = staff.post(page, {**typed, **more, "row": button}).context["adminform"].form
        assert not form.errors
        typed.update(sent(form))
        return {name: form[name].value() for name in ("outcomes", "syllabus", "instructors")}

    assert press("add outcomes")["outcomes"] == ["Do it", ""]
    assert press("up outcomes-1", **{"outcomes-1": " Try it "})["outcomes"] == [" Try it ", "Do it"]
    assert press("add syllabus-0-lessons")["syllabus"][0]["lessons"] == ["a", ""]
    typed["syllabus-0-lessons-1"] = "b"
    assert press("down syllabus-0-lessons-0")["syllabus"][0]["lessons"] == ["b", "a"]
    assert press("add syllabus")["syllabus"][1] == {"title": "", "lessons": []}
    assert press("remove instructors-0")["instructors"] == []
    for name in [each for each in typed if each.startswith("instructors-")]:
        del typed[name]
    for nonsense in ("up outcomes-0", "down outcomes-1", "up outcomes-9", "x", "add price", "up"):
        assert press(nonsense)["outcomes"] == [" Try it ", "Do it"]
    course.refresh_from_db()
    assert (course.title == "Typed", course.outcomes) == (False, COMPLETE["outcomes"])
    assert typed["title"] == "Typed"
    assert staff.post(page, {**typed, "price": "10.00"}).status_code == 302
    course.refresh_from_db()
    assert (course.title, course.outcomes, course.instructors) == ("Typed", ["Try it", "Do it"], [])
    assert course.syllabus == [{"title": "One", "lessons": ["b", "a"]}]
    [entry] = LogEntry.objects.all()
    assert "Outcomes: nothing → Try it" in entry.get_change_message()
    assert "Instructors: Ada, Analyst → nothing" in entry.get_change_message()


def test_a_row_that_cannot_be_kept_is_named_at_its_list_and_the_rest_stays_typed(staff):
    course = make_course(**COMPLETE)
    typed = {"syllabus-1-lessons-0": "Homeless", "outcomes-0": "x" * 201, "title": "Typed"}
    form = change(staff, course, **typed).context["adminform"].form
    assert form.errors == {
        "syllabus": ["The title of module 2 is missing."],
        "outcomes": ["Outcome 1 has more than 200 characters."],
    }
    assert form["title"].value() == "Typed"
    assert form["syllabus"].value()[1] == {"title": "", "lessons": ["Homeless"]}
    assert course.outcomes == COMPLETE["outcomes"]


def test_archiving_takes_a_course_off_sale(staff):
    course = make_course()
    make_coupon(course=course)
    page = run(staff, "archive", course)
    assert "Nobody can buy the course any more" in page
    assert "in the LMS</th>" not in page
    assert re.search(r"People with an unused coupon</th>\s*<td[^>]*>1<", page)
    assert Course.objects.get().status == "published"
    address = reverse("admin:courses_course_archive", args=[course.pk])
    assert staff.post(address, {"decide": "1"}).status_code == 302
    assert Course.objects.get().status == "archived"


def test_status_and_a_known_slug_cannot_be_edited(staff):
    course = make_course(slug="known", **COMPLETE)
    form = (
        staff.get(reverse("admin:courses_course_change", args=[course.pk]))
        .context["adminform"]
        .form
    )
    assert {"status", "slug"}.isdisjoint(form.fields)


def test_a_learner_has_no_access(client, django_user_model):
    client.force_login(
        django_user_model.objects.create_user("amal@example.org", "correct horse battery")
    )
    assert client.get(reverse(LIST)).status_code == 302


def change(client, course: Course, **typed: str):
    """Change a course by its page as a browser does: every field as shown, but the typed ones."""
    page = reverse("admin:courses_course_change", args=[course.pk])
    shown = sent(client.get(page).context["adminform"].form)
    answer = client.post(page, {**shown, **typed})
    course.refresh_from_db()
    return answer


@pytest.mark.parametrize(
    ("price", "currency", "shown"),
    [(49900, "usd", "499.00"), (5000, "jpy", "5000"), (0, "eur", "0.00")],
)
def test_a_price_is_shown_as_people_write_it_and_saving_the_form_keeps_it(
    staff, price, currency, shown
):
    course = make_course(price=price, currency=currency)
    form = (
        staff.get(reverse("admin:courses_course_change", args=[course.pk]))
        .context["adminform"]
        .form
    )
    assert form["price"].value() == shown
    assert change(staff, course).status_code == 302
    assert (course.price, course.currency) == (price, currency)


@pytest.mark.parametrize(
    ("typed", "currency", "price"),
    [
        ("499", "usd", 49900),
        ("249.5", "usd", 24950),
        ("0.50", "usd", 50),
        ("0", "usd", 0),
        (" 12000 ", "jpy", 12000),
        ("999999.99", "usd", 99999999),
    ],
)
def test_a_price_is_typed_in_the_courses_currency(staff, typed, currency, price):
    course = make_course(price=4900 if currency == "usd" else 5000, currency=currency)
    assert change(staff, course, price=typed).status_code == 302
    assert course.price == price


@pytest.mark.parametrize(
    ("typed", "currency", "said"),
    [
        ("499.999", "usd", "Write the amount like 249.50"),
        ("499,00", "usd", "Write the amount like 249.50"),
        ("$499", "usd", "Write the amount like 249.50"),
        ("5000.00", "jpy", "Write the amount like 24950"),
        ("-1.00", "usd", "A price cannot be negative."),
        ("0.49", "usd", "Set 0 for a free course, or at least $0.50."),
        ("1000000", "usd", "Set at most $999,999.99."),
        ("", "usd", "This field is required."),
    ],
)
def test_a_price_that_does_not_fit_is_refused_and_nothing_changes(staff, typed, currency, said):
    course = make_course(price=4900, currency=currency)
    answer = change(staff, course, price=typed, title="Another title")
    assert answer.status_code == 200
    assert any(said in error for error in answer.context["adminform"].form.errors["price"])
    assert (course.price, course.title == "Another title") == (4900, False)


def test_another_currency_gives_the_same_digits_another_number_of_minor_units(staff):
    course = make_course(price=5000, currency="jpy")
    assert change(staff, course, currency="usd").status_code == 302
    assert (course.price, course.currency) == (500000, "usd")


def test_decimals_that_another_currency_does_not_have_are_refused(staff):
    course = make_course(price=49900, currency="usd")
    assert "price" in change(staff, course, currency="jpy").context["adminform"].form.errors
    assert (course.price, course.currency) == (49900, "usd")
    assert change(staff, course, currency="jpy", price="75000").status_code == 302
    assert (course.price, course.currency) == (75000, "jpy")


def test_a_new_course_has_the_price_that_was_typed(staff):
    facts = {
        "title": "Bookkeeping",
        "slug": "bookkeeping",
        "summary": "Books.",
        "category": "business",
        "level": "beginner",
    }
    more = {
        "language": "English",
        "duration_hours": "3",
        "price": "499.00",
        "currency": "usd",
        "lms_platform": "frappe",
    }
    assert staff.post(reverse("admin:courses_course_add"), {**facts, **more}).status_code == 302
    assert Course.objects.get().price == 49900


@pytest.mark.every_engine
def test_who_may_only_look_sees_the_price_and_not_its_minor_units(client, django_user_model):
    clerk = django_user_model.objects.create_user(
        "clerk@example.org", "correct horse battery", is_staff=True
    )
    clerk.user_permissions.set(Permission.objects.filter(codename="view_course"))
    client.force_login(clerk)
    page = client.get(
        reverse("admin:courses_course_change", args=[make_course(price=49900).pk])
    ).content.decode()
    assert "$499.00" in page
    assert "49900" not in page


@pytest.mark.every_engine
@pytest.mark.parametrize(("status", "left"), [("draft", 0), ("published", 1), ("archived", 1)])
def test_only_a_draft_can_be_deleted(staff, status, left):
    course = make_course(status=status)
    staff.post(reverse("admin:courses_course_delete", args=[course.pk]), {"post": "yes"})
    assert Course.objects.count() == left


def test_an_edit_leaves_alone_what_others_write_meanwhile(staff, monkeypatch):
    """Colleagues take it off sale, rename and map it: an edit of the effort keeps all that."""
    course = make_course(title="Bookkeeping", **COMPLETE)

    def colleagues() -> str:
        other = Course.objects.get()
        other.title, other.lms_course_id = "Accounting", "accounting-2"
        other.save(update_fields=["title", "lms_course_id"])
        return publishing.archive(other)

    came = beside_save(monkeypatch, colleagues)
    url = reverse("admin:courses_course_change", args=[course.pk])
    form = sent(staff.get(url).context["adminform"].form)
    assert staff.post(url, {**form, "effort": "An hour a day."}).status_code == 302
    assert came == [True]
    found = Course.objects.search("accounting").get()
    assert (found.effort, found.status, found.title, found.lms_course_id) == (
        "An hour a day.",
        "archived",
        "Accounting",
        "accounting-2",
    )
    [entry] = LogEntry.objects.all()
    assert entry.get_change_message() == "Changed Effort: nothing → An hour a day."
