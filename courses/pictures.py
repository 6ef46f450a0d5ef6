"""Pictures that staff upload: made anew, so that nothing but the picture is kept and shown.

They are small, so the storage of the settings keeps them in the database: every web process has
them, and so has every backup. What nothing shows any more is deleted a day after
(`courses.unused_pictures`).
"""

import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.deconstruct import deconstructible
from PIL import Image, ImageOps, UnidentifiedImageError

from maaledu.db import new_id

MAX_NAME_LENGTH = 100
FACE_SIDE = 320
FACE = (FACE_SIDE, FACE_SIDE)
LARGE_COVER, SMALL_COVER = (1280, 800), (640, 400)
MOST_KEPT_BYTES = 256 * 1024
QUALITIES = (80, 60, 40, 20)  # the first with which a picture is small enough
MOST_BYTES = 5 * 1024 * 1024
MOST_PIXELS = 40_000_000  # of what is uploaded; a phone's picture has about 12 million
FORMATS = ("JPEG", "PNG", "WEBP")


class Picture(models.Model):
    """The bytes of one picture, by the name under which a storage keeps it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=MAX_NAME_LENGTH, unique=True)
    content = models.BinaryField(max_length=MOST_KEPT_BYTES)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    unused_since = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.name


@deconstructible
class PictureStorage(Storage):
    """Django's storage over the table of pictures."""

    def _open(self, name: str, mode: str = "rb") -> File:
        picture = Picture.objects.filter(name=name).first()
        if picture is None:
            raise FileNotFoundError(name)
        return ContentFile(bytes(picture.content), name=name)

    def _save(self, name: str, content: IO[bytes]) -> str:
        # Written to first: a deletion of this very picture, as unused, then passes it over.
        if not Picture.objects.filter(name=name).update(unused_since=None):
            Picture.objects.get_or_create(name=name, defaults={"content": content.read()})
        return name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name  # it has a hash of the content in it: the same name is the same picture

    def exists(self, name: str) -> bool:
        return Picture.objects.filter(name=name).exists()

    def delete(self, name: str) -> None:
        Picture.objects.filter(name=name).delete()

    def url(self, name: str | None) -> str:
        kind, _, own_name = (name or "").rpartition("/")
        return reverse("picture", args=[kind, own_name])

    def size(self, name: str) -> int:
        return self._open(name).size


@dataclass(frozen=True)
class Cover:
    """A cover in the two sizes that pages choose from."""

    large: ContentFile
    small: ContentFile


def face_of(upload: IO[bytes], *, size: int) -> ContentFile:
    """Return an uploaded portrait as a square WebP without what cameras write into files.

    Raises ValidationError for what is too large or no picture.
    """
    content = _encoded(_read(upload, size, FACE), FACE)
    return ContentFile(content, name=f"{_digest(content)}.webp")


def cover_of(upload: IO[bytes], *, size: int) -> Cover:
    """Return an uploaded cover as WebP in two sizes, cut to 8:5, with nothing else of the file.

    Raises ValidationError for what is too large, too small, or no picture.
    """
    picture = _read(upload, size, LARGE_COVER)
    if picture.width < SMALL_COVER[0] or picture.height < SMALL_COVER[1]:
        sentence = f"Choose a picture of at least {SMALL_COVER[0]} × {SMALL_COVER[1]} pixels."
        raise ValidationError(sentence, code="too_small")
    large, small = (_encoded(picture, box) for box in (LARGE_COVER, SMALL_COVER))
    name = _digest(large)
    return Cover(ContentFile(large, f"{name}.webp"), ContentFile(small, small_name(f"{name}.webp")))


def small_name(name: str) -> str:
    """Return the name of the small picture of a cover."""
    return f"{name.removesuffix('.webp')}-small.webp"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _read(upload: IO[bytes], size: int, box: tuple[int, int]) -> Image.Image:
    """Return the picture upright, as it is to be seen, of at least the box's size if it is."""
    if size > MOST_BYTES:
        raise ValidationError("Choose a picture of at most 5 MB.", code="too_large")
    try:
        return _decoded(upload, box)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        sentence = f"Choose a picture of at most {MOST_PIXELS // 1_000_000} million pixels."
        raise ValidationError(sentence, code="too_large") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        sentence = "This is no JPEG, PNG or WebP picture that can be read."
        raise ValidationError(sentence, code="no_picture") from error


def _decoded(upload: IO[bytes], box: tuple[int, int]) -> Image.Image:
    with Image.open(upload, formats=FORMATS) as picture:
        # Asked before a pixel is decoded: a small file may hold a huge picture.
        if picture.width * picture.height > MOST_PIXELS:
            raise Image.DecompressionBombError
        picture.draft("RGB", (box[0] * 2, box[1] * 2))
        shown: Any = ImageOps.exif_transpose(picture).convert("RGBA")
    ground = Image.new("RGBA", shown.size, "white")
    return Image.alpha_composite(ground, shown).convert("RGB")


def _encoded(picture: Image.Image, box: tuple[int, int]) -> bytes:
    fitted = ImageOps.fit(picture, box, Image.Resampling.LANCZOS)
    for quality in QUALITIES:
        made = BytesIO()
        fitted.save(made, "WEBP", quality=quality, method=4)
        if made.tell() <= MOST_KEPT_BYTES:
            return made.getvalue()
    raise ValidationError("Choose a picture with more even areas.", code="too_large")
