"""Pictures that staff upload are made anew: small, cut to their shape, without what was written
into them; and deleted once nothing has shown them for a day.
"""

from datetime import timedelta
from io import BytesIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from PIL import Image

from accounts.models import AuditEntry
from courses.models import Course
from courses.pictures import (
    FACE_SIDE,
    LARGE_COVER,
    MOST_KEPT_BYTES,
    SMALL_COVER,
    Picture,
    cover_of,
    face_of,
)
from courses.profiles import InstructorProfile
from courses.unused_pictures import forget_unused
from courses.uploaded_covers import remove_cover, set_cover
from office.course_covers import ALT_LENGTH
from office.fields import CHOOSE_AGAIN
from tests.factories import make_course, taught_by

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
ADD = "/admin/courses/instructorprofile/add/"
SECRET = b"taken at 51.5 north"


@pytest.fixture
def staff(client: Client, django_user_model) -> Client:
    client.force_login(
        django_user_model.objects.create_superuser("staff@example.org", "correct horse battery")
    )
    return client


def picture(
    form: str = "JPEG", size: tuple[int, int] = (500, 400), color: str = "#a03050", **options
) -> bytes:
    made = BytesIO()
    Image.new("RGB", size, color).save(made, form, **options)
    return made.getvalue()


def upload(client: Client, content: bytes, name: str = "me.jpg"):
    face = SimpleUploadedFile(name, content, content_type="image/jpeg")
    return client.post(ADD, {"name": "Ada", "biography": "", "link": "", "face": face})


@pytest.mark.every_engine
def test_an_uploaded_portrait_is_made_anew_kept_and_shown(staff: Client) -> None:
    assert upload(staff, picture(comment=SECRET), "../../<me>.jpg").status_code == 302
    profile = InstructorProfile.objects.get()
    kept = bytes(Picture.objects.get().content)
    assert SECRET not in kept
    with Image.open(BytesIO(kept)) as made:
        assert (made.format, made.size) == ("WEBP", (FACE_SIDE, FACE_SIDE))
    answer = Client().get(profile.face_url)
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "image/webp", kept)
    assert answer["X-Content-Type-Options"] == "nosniff"
    course = make_course(instructors=taught_by("Ada, Analyst"))
    assert profile.face_url in Client().get(course.get_absolute_url()).content.decode()
    page = staff.get(f"/admin/courses/instructorprofile/{profile.pk}/change/").content.decode()
    assert course.title in page
    assert "Ada" in staff.get("/admin/courses/instructorprofile/?q=ad").content.decode()


@pytest.mark.every_engine
def test_courses_follow_a_person_to_another_name(staff: Client) -> None:
    upload(staff, picture())
    profile = InstructorProfile.objects.get()
    course, other = make_course(instructors=taught_by("Bo", "Ada, Analyst")), make_course()
    twice = make_course(instructors=taught_by("Ada Lovelace, Author", "Ada, Analyst"))
    other.instructors = taught_by("Adam, Guest")
    other.save()
    change = f"/admin/courses/instructorprofile/{profile.pk}/change/"
    renamed = {"name": "Ada Lovelace", "biography": "", "link": ""}
    answer = staff.post(change, renamed, follow=True).content.decode()
    assert course.title in answer
    taught = [
        [str(each) for each in Course.objects.get(pk=row.pk).instructor_list]
        for row in (course, twice, other)
    ]
    assert taught == [["Bo", "Ada Lovelace (Analyst)"], ["Ada Lovelace (Author)"], ["Adam (Guest)"]]
    assert profile.face_url in Client().get(course.get_absolute_url()).content.decode()
    found = Client().get("/courses/?q=lovelace").content.decode()
    assert (course.title in found, other.title in found) == (True, False)
    about = AuditEntry.objects.filter(row_id=str(course.pk)).values_list("what", flat=True)
    assert list(about) == ["“Ada” is called “Ada Lovelace” among its instructors"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"\x89PNG\r\n\x1a\n but no more",
        picture("GIF"),
        picture()[:200],
    ],
    ids=["empty", "svg", "broken", "gif", "cut"],
)
def test_what_is_no_picture_is_refused_and_nothing_is_kept(staff: Client, content: bytes) -> None:
    answer = upload(staff, content)
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["face"]
    assert not InstructorProfile.objects.exists()
    assert not Picture.objects.exists()


def test_too_many_bytes_or_pixels_are_refused() -> None:
    with pytest.raises(ValidationError, match="at most 5 MB"):
        face_of(BytesIO(b"x"), size=5 * 1024 * 1024 + 1)
    made = BytesIO()
    Image.new("1", (8000, 6000)).save(made, "PNG")
    bomb = made.getvalue()
    with pytest.raises(ValidationError, match="at most 40 million pixels"):
        face_of(BytesIO(bomb), size=len(bomb))


@pytest.mark.parametrize("name", ["nothing.webp", "..%2fsettings.py", "x" * 300])
def test_an_unknown_portrait_is_not_found(client: Client, name: str) -> None:
    assert client.get(f"/faces/{name}").status_code == 404


# --- covers ---------------------------------------------------------------------------------------
def give_cover(client: Client, course: Course, content: bytes, alt: str = ""):
    page = f"/admin/courses/course/{course.pk}/set_cover/"
    sent = SimpleUploadedFile("<cover>.jpg", content, content_type="image/jpeg")
    return client.post(page, {"decide": "1", "picture": sent, "alt": alt})


def test_an_uploaded_cover_is_shown_wherever_the_drawn_one_was(staff: Client) -> None:
    course = make_course(title="Books")
    drawn, card = course.cover_url, course.card_url
    drawn_card = Client().get(card).content
    content = picture(size=(2000, 1000), comment=SECRET)
    assert give_cover(staff, course, content, "An <open> ledger").status_code == 302
    course.refresh_from_db()
    made = {bytes(each.content) for each in Picture.objects.all()}
    assert all(SECRET not in each for each in made)
    sizes = {Image.open(BytesIO(each)).size for each in made}
    assert sizes == {LARGE_COVER, SMALL_COVER}
    assert {Client().get(url).content for url in (course.cover_url, course.small_cover_url)} == made
    shown = (
        f'src="{course.cover_url}" srcset="{course.small_cover_url} 640w, {course.cover_url} 1280w"'
    )
    for path in ("/", course.get_absolute_url(), f"/checkout/{course.slug}/"):
        page = Client().get(path).content.decode()
        assert shown in page
        assert 'alt="An &lt;open&gt; ledger"' in page
        assert drawn not in page
    assert course.card_url != card
    with Image.open(BytesIO(Client().get(course.card_url).content)) as shared:
        assert (shared.format, shared.size) == ("PNG", (1200, 630))
        red, green, blue = shared.convert("RGB").getpixel((950, 300))
    assert (abs(red - 0xA0) < 9, abs(green - 0x30) < 9, abs(blue - 0x50) < 9) == (True,) * 3
    [entry] = LogEntry.objects.all()
    assert entry.change_message == "given another cover"
    page = f"/admin/courses/course/{course.pk}/remove_cover/"
    assert staff.post(page, {"decide": "1"}).status_code == 302
    course.refresh_from_db()
    assert (course.cover_url, course.card_url, course.cover_alt) == (drawn, card, "")
    assert Client().get(course.card_url).content == drawn_card
    assert not remove_cover(course)


def test_a_picture_is_to_be_chosen_again_where_something_else_is_refused(staff: Client) -> None:
    face = SimpleUploadedFile("me.jpg", picture(), content_type="image/jpeg")
    answer = staff.post(ADD, {"name": "", "face": face})
    assert answer.context["adminform"].form.errors["face"] == [CHOOSE_AGAIN]
    course = make_course(title="Books")
    answer = give_cover(staff, course, picture(size=(1000, 700)), "x" * (ALT_LENGTH + 1))
    assert answer.context["form"].errors["picture"] == [CHOOSE_AGAIN]
    page = answer.content.decode()
    assert ("Cover now" in page, "in the LMS</th>" in page) == (True, False)
    assert (InstructorProfile.objects.count(), Picture.objects.count()) == (0, 0)


@pytest.mark.every_engine
def test_what_cannot_be_a_cover_is_refused_at_its_field_and_what_was_typed_stays(
    staff: Client,
) -> None:
    course = make_course()
    large = BytesIO()
    Image.new("1", (8000, 6000)).save(large, "PNG")
    polyglot = b"GIF89a<script>alert(1)</script>" + picture()
    cases = {
        b"": "The submitted file is empty.",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>": "This is no JPEG, PNG or WebP",
        picture("GIF"): "This is no JPEG, PNG or WebP",
        polyglot: "This is no JPEG, PNG or WebP",
        picture(size=(2000, 1500))[:300]: "This is no JPEG, PNG or WebP",
        picture(size=(639, 400)): "at least 640 × 400 pixels",
        large.getvalue(): "at most 40 million pixels",
        picture() + b"x" * (5 * 1024 * 1024): "at most 5 MB",
    }
    for content, sentence in cases.items():
        answer = give_cover(staff, course, content, "A ledger")
        form = answer.context["form"]
        assert sentence in form.errors["picture"][0], sentence
        assert form["alt"].value() == "A ledger"
    assert (Course.objects.get().cover.name, Picture.objects.count()) == ("", 0)


def test_a_picture_is_kept_upright_and_small_enough_whatever_it_shows() -> None:
    turned = Image.new("RGB", (800, 1300), "red")
    turned.paste("blue", (0, 650, 800, 1300))
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    made = BytesIO()
    turned.save(made, "JPEG", exif=exif)
    cover = cover_of(BytesIO(made.getvalue()), size=1000)
    with Image.open(cover.large) as shown:
        assert (shown.size, shown.getexif()) == (LARGE_COVER, {})
        thirds = shown.convert("RGB").resize((3, 1))
    left, right = thirds.getpixel((0, 0)), thirds.getpixel((2, 0))
    assert right[0] > 2 * right[2], "its red head is on the right"
    assert left[2] > 2 * left[0]
    noise = BytesIO()
    Image.effect_noise((1280, 800), 20).convert("RGB").save(noise, "PNG")
    cover = cover_of(BytesIO(noise.getvalue()), size=1000)
    assert MOST_KEPT_BYTES // 4 < cover.large.size <= MOST_KEPT_BYTES
    made = BytesIO()
    Image.effect_noise((1280, 800), 255).save(made, "PNG")
    with pytest.raises(ValidationError, match="more even areas"):
        cover_of(BytesIO(made.getvalue()), size=1000)


# --- what nothing shows ---------------------------------------------------------------------------
def red() -> bytes:
    return picture(size=(700, 500))


def names() -> set[str]:
    return set(Picture.objects.values_list("name", flat=True))


def noted_long_ago() -> None:
    long_ago = timezone.now() - timedelta(days=1, seconds=1)
    Picture.objects.exclude(unused_since=None).update(unused_since=long_ago)


@pytest.mark.every_engine
def test_what_nothing_shows_is_deleted_a_day_later_and_all_else_is_kept(staff: Client) -> None:
    upload(staff, picture())
    profile, course = InstructorProfile.objects.get(), make_course()
    set_cover(course, BytesIO(red()), size=100, alt="")
    old, small = course.cover.name, course.cover.name.replace(".webp", "-small.webp")
    blue = picture("PNG", (800, 800), "#3050a0")
    set_cover(course, BytesIO(blue), size=100, alt="")
    shown = names() - {old, small}
    assert len(shown) == 3
    assert forget_unused() == 0
    assert forget_unused() == 0  # noted, and a page that was made before may show it
    assert names() == shown | {old, small}
    assert Client().get(f"/{old}").status_code == 200
    noted_long_ago()
    assert forget_unused() == 2
    assert names() == shown
    assert not default_storage.exists(old)
    profile.face = ""
    profile.save()
    forget_unused()
    noted_long_ago()
    assert (forget_unused(), names()) == (1, {course.cover.name, _small(course)})


def _small(course: Course) -> str:
    return str(course.cover.name).replace(".webp", "-small.webp")


@pytest.mark.every_engine
def test_a_picture_that_is_uploaded_again_is_kept(staff: Client) -> None:
    course = make_course()
    set_cover(course, BytesIO(red()), size=100, alt="")
    both = names()
    remove_cover(course)
    forget_unused()
    noted_long_ago()
    set_cover(course, BytesIO(red()), size=100, alt="")
    # At once: a deletion that has found them unused just before passes them over.
    assert not Picture.objects.exclude(unused_since=None).exists()
    assert (forget_unused(), names()) == (0, both)
    # And where it is named otherwise than by an upload, such as from a backup.
    Picture.objects.update(unused_since=timezone.now() - timedelta(days=2))
    assert (forget_unused(), names()) == (0, both)
    assert not Picture.objects.exclude(unused_since=None).exists()
