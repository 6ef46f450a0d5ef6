"""The pictures that others show beside a link to the shop: PNG, 1200 by 630, with title and price.

Drawn as SVG from a course's cover and made a PNG by resvg, as no network takes an SVG.
"""

import functools
import unicodedata
from base64 import b64encode
from dataclasses import dataclass
from html import escape
from pathlib import Path

import resvg_py
from django.conf import settings
from django.core.files.storage import default_storage
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from courses.covers import shapes_of
from courses.models import Course
from maaledu.money import Money

WIDTH, HEIGHT = 1200, 630
FONT_FILE = Path(__file__).with_name("fonts") / "newsreader-display.ttf"
FONTS = "'Newsreader 16pt', 'Noto Serif', 'DejaVu Serif', serif"
LEFT, ROOM = 64, 590  # of the text, beside the cover
# Up to this width of a title in characters: the size of its letters, and how many fit a line.
SIZES = ((44, 68, 19), (84, 56, 23), (1000, 44, 29))
MOST_LINES = 5
SHOP_LINE = _("Professional courses with a certificate, taught by people who do the work")


@dataclass(frozen=True)
class Card:
    """What a picture says, and whose cover is beside it."""

    title: str
    price: str
    facts: str
    cover: tuple[str, str, int]
    uploaded: str = ""  # the name of the picture that is shown instead


def of_course(course: Course) -> bytes:
    price = gettext("Free") if course.is_free else Money(course.price, course.currency).text
    hours = course.duration_hours
    words = ngettext("%(level)s, %(hours)d hour", "%(level)s, %(hours)d hours", hours)
    facts = words % {"level": course.get_level_display(), "hours": hours}
    cover = (course.slug, course.category, course.cover_number)
    return _draw(Card(course.title, price, facts, cover, course.cover.name or ""))


def of_shop() -> bytes:
    return _draw(Card(str(SHOP_LINE), "", "", (settings.SITE_NAME, Course.Category.EDUCATION, 0)))


@functools.lru_cache(maxsize=64)
def _draw(card: Card) -> bytes:
    text = f"{settings.SITE_NAME}{card.title}{card.price}{card.facts}"
    return resvg_py.svg_to_bytes(
        svg_string=_svg(card),
        font_files=[str(FONT_FILE)],
        # Our own font knows Latin letters. For others the machine's fonts are read, which is slow.
        skip_system_fonts=all(ord(character) < 0x180 for character in text),
    )


def _svg(card: Card) -> str:
    cover = (
        f'<svg x="700" y="0" width="500" height="{HEIGHT}" viewBox="0 0 640 400"'
        f' preserveAspectRatio="xMidYMid slice">{_uploaded(card) or shapes_of(*card.cover)}</svg>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">'
        f'<path fill="#fdfdfc" d="M0 0h{WIDTH}v{HEIGHT}H0z"/>{cover}'
        f'<g font-family="{FONTS}" fill="#1b1d22">{_texts(card)}</g></svg>'
    )


def _uploaded(card: Card) -> str:
    """Return the uploaded cover as an element of the drawing; "" where there is none."""
    if not card.uploaded:
        return ""
    try:
        with default_storage.open(card.uploaded) as file:
            content = b64encode(file.read()).decode()
    except OSError:  # deleted beside us: the drawn one is shown
        return ""
    return f'<image width="640" height="400" href="data:image/webp;base64,{content}"/>'


def _texts(card: Card) -> str:
    width = sum(map(_width, card.title))
    size, fits = next((size, fits) for most, size, fits in SIZES if width <= most)
    lines = _wrapped(card.title, fits)
    step = round(size * 1.14)
    top = 315 - (len(lines) - 1) * step // 2 + size // 4
    shown = [_line(settings.SITE_NAME, 92, 34, fill="#2c3fa0")]
    shown += [_line(line, top + number * step, size) for number, line in enumerate(lines)]
    shown += [_line(card.price, 540, 52), _line(card.facts, 582, 28, fill="#5a5e66")]
    return "".join(shown)


def _line(text: str, y: int, size: int, *, fill: str = "#1b1d22") -> str:
    strong = (each for each in map(unicodedata.bidirectional, text) if each in ("L", "R", "AL"))
    x, anchor = (LEFT, "start") if next(strong, "L") == "L" else (LEFT + ROOM, "end")
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _width(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _wrapped(text: str, fits: int) -> list[str]:
    """Return the text in lines of this width, words that are longer broken, and cut at the end."""
    lines = [""]
    for word in _pieces(text, fits):
        joined = f"{lines[-1]} {word}".strip()
        if sum(map(_width, joined)) <= fits:
            lines[-1] = joined
        else:
            lines.append(word)
    cut = len(lines) > MOST_LINES
    return [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1]}…"] if cut else lines


def _pieces(text: str, fits: int) -> list[str]:
    pieces = []
    for word in text.split():
        piece = ""
        for character in word:
            if piece and sum(map(_width, piece + character)) > fits:
                pieces.append(piece)
                piece = ""
            piece += character
        pieces.append(piece)
    return pieces
