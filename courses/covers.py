"""Cover art drawn from a course's slug, category and number in it, so that no file is stored.

The same course always has the same cover. The number picks composition and colors, so that the
first thirty courses of a category are told apart at a glance; the slug sets the details. Only
presentation attributes are used, no style element, so that a page's content security policy never
matters. Grounds are of middling lightness: they are seen on a white page and do not glare on a dark
one.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from courses import cover_art as art
from courses import cover_patterns as patterns
from courses.cover_dice import Dice
from courses.cover_palette import PALETTES, Palette

WIDTH, HEIGHT = 640, 400

Composition = Callable[[Dice, Palette], list[str]]
OF_ALL = (patterns.dunes, patterns.beams, patterns.stones)
COMPOSITIONS: dict[str, tuple[Composition, ...]] = {
    "data": (art.halftone, art.ridges, *OF_ALL),
    "business": (art.columns, art.rings, *OF_ALL),
    "health": (art.orbits, art.petals, *OF_ALL),
    "public": (art.arches, art.hemicycle, *OF_ALL),
    "education": (art.bookshelf, art.sheets, *OF_ALL),
    "creative": (art.tiles, art.poster, *OF_ALL),
}
MIRRORED = f' transform="translate({WIDTH} 0) scale(-1 1)"'


@dataclass(frozen=True)
class Look:
    """What is seen of a cover at a glance."""

    composition: Composition
    palette: Palette
    is_mirrored: bool


def look(category: str, number: int) -> Look:
    """Return the look of the category's course of this number; each of the first thirty differs."""
    compositions, palettes = COMPOSITIONS[category], PALETTES[category]
    row, column = divmod(number, len(compositions))
    # The next course in the list has another drawing on another ground.
    palette = palettes[(row + column) % len(palettes)]
    return Look(compositions[column], palette, is_mirrored=row // len(palettes) % 2 == 1)


@functools.lru_cache(maxsize=256)
def draw_cover(slug: str, category: str, number: int = 0) -> str:
    """Return the cover as an SVG document of 640 by 400 units."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"{shapes_of(slug, category, number)}</svg>"
    )


def shapes_of(slug: str, category: str, number: int) -> str:
    """Return the elements of a cover, without the document around them."""
    seen = look(category, number)
    shapes = "".join(seen.composition(Dice(slug), seen.palette))
    ground = f'<path fill="{seen.palette.ground}" d="M0 0h{WIDTH}v{HEIGHT}H0z"/>'
    return f"{ground}<g{MIRRORED if seen.is_mirrored else ''}>{shapes}</g>"
