"""Pictures that staff upload: made anew, so that nothing but the picture is kept and shown.

They are small, so the storage of the settings keeps them in the database: every web process has
them, and so has every backup.
"""

import hashlib
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
MOST_BYTES = 5 * 1024 * 1024
MOST_PIXELS = 40_000_000  # of what is uploaded; a phone's picture has about 12 million
FORMATS = ("JPEG", "PNG", "WEBP")


class Picture(models.Model):
    """The bytes of one picture, by the name under which a storage keeps it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=MAX_NAME_LENGTH, unique=True)
    content = models.BinaryField(max_length=256 * 1024)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

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
        Picture.objects.get_or_create(name=name, defaults={"content": content.read()})
        return name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name  # it has a hash of the content in it: the same name is the same picture

    def exists(self, name: str) -> bool:
        return Picture.objects.filter(name=name).exists()

    def delete(self, name: str) -> None:
        Picture.objects.filter(name=name).delete()

    def url(self, name: str | None) -> str:
        return reverse("face", args=[(name or "").rpartition("/")[2]])

    def size(self, name: str) -> int:
        return self._open(name).size


def face_of(upload: IO[bytes], *, size: int) -> ContentFile:
    """Return an uploaded portrait as a square WebP without what cameras write into files.

    Raises ValidationError for what is too large or no picture.
    """
    if size > MOST_BYTES:
        raise ValidationError("Choose a picture of at most 5 MB.", code="too_large")
    try:
        content = _square(upload)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        sentence = "This is no JPEG, PNG or WebP picture that can be read."
        raise ValidationError(sentence, code="no_picture") from error
    except Image.DecompressionBombError as error:
        raise ValidationError("Choose a smaller picture.", code="too_large") from error
    return ContentFile(content, name=f"{hashlib.blake2b(content, digest_size=12).hexdigest()}.webp")


def _square(upload: IO[bytes]) -> bytes:
    with Image.open(upload, formats=FORMATS) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise Image.DecompressionBombError
        shown: Any = ImageOps.exif_transpose(picture).convert("RGBA")
    face = ImageOps.fit(shown, (FACE_SIDE, FACE_SIDE))
    ground = Image.new("RGBA", face.size, "white")
    made = BytesIO()
    Image.alpha_composite(ground, face).convert("RGB").save(made, "WEBP", quality=82, method=4)
    return made.getvalue()
