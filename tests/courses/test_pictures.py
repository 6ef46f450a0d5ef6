"""Portraits that staff upload are made anew: small, square, without what was written into them."""

from io import BytesIO

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from courses.pictures import FACE_SIDE, Picture, face_of
from courses.profiles import InstructorProfile
from tests.factories import make_course

pytestmark = pytest.mark.django_db
ADD = "/admin/courses/instructorprofile/add/"
SECRET = b"taken at 51.5 north"


@pytest.fixture
def staff(client: Client, django_user_model) -> Client:
    client.force_login(
        django_user_model.objects.create_superuser("staff@example.org", "correct horse battery")
    )
    return client


def picture(form: str = "JPEG", size: tuple[int, int] = (500, 400), **options) -> bytes:
    made = BytesIO()
    Image.new("RGB", size, "#a03050").save(made, form, **options)
    return made.getvalue()


def upload(client: Client, content: bytes, name: str = "me.jpg"):
    face = SimpleUploadedFile(name, content, content_type="image/jpeg")
    return client.post(ADD, {"name": "Ada", "biography": "", "link": "", "face": face})


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
    course = make_course(instructors="Ada — Analyst")
    assert profile.face_url in Client().get(course.get_absolute_url()).content.decode()
    page = staff.get(f"/admin/courses/instructorprofile/{profile.pk}/change/").content.decode()
    assert course.title in page
    assert "Ada" in staff.get("/admin/courses/instructorprofile/?q=ad").content.decode()


@pytest.mark.any_engine
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


@pytest.mark.any_engine
def test_too_many_bytes_or_pixels_are_refused() -> None:
    with pytest.raises(ValidationError, match="at most 5 MB"):
        face_of(BytesIO(b"x"), size=5 * 1024 * 1024 + 1)
    made = BytesIO()
    Image.new("1", (8000, 6000)).save(made, "PNG")
    bomb = made.getvalue()
    with pytest.raises(ValidationError, match="smaller picture"):
        face_of(BytesIO(bomb), size=len(bomb))


@pytest.mark.any_engine
@pytest.mark.parametrize("name", ["nothing.webp", "..%2fsettings.py", "x" * 300])
def test_an_unknown_portrait_is_not_found(client: Client, name: str) -> None:
    assert client.get(f"/faces/{name}").status_code == 404
