"""Cover art drawn from a course's slug and category, so that no file is stored.

The same course always has the same cover. Only presentation attributes are used, no style element,
so that a page's content security policy never matters. Grounds are of middling lightness: they are
seen on a white page and do not glare on a dark one.
"""

import functools
from collections.abc import Callable

from courses import cover_art as art
from courses.cover_dice import Dice
from courses.cover_palette import PALETTES, Palette

WIDTH, HEIGHT = 640, 400

Composition = Callable[[Dice, Palette], list[str]]
COMPOSITIONS: dict[str, tuple[Composition, ...]] = {
    "data": (art.halftone, art.ridges),
    "business": (art.columns, art.rings),
    "health": (art.orbits, art.petals),
    "public": (art.arches, art.hemicycle),
    "education": (art.bookshelf, art.sheets),
    "creative": (art.tiles, art.poster),
}


@functools.lru_cache(maxsize=256)
def draw_cover(slug: str, category: str) -> str:
    """Return the cover as an SVG document of 640 by 400 units."""
    dice = Dice(slug)
    palette = dice.pick(PALETTES[category])
    shapes = "".join(dice.pick(COMPOSITIONS[category])(dice, palette))
    ground = f'<path fill="{palette.ground}" d="M0 0h{WIDTH}v{HEIGHT}H0z"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH}'
        f' {HEIGHT}">{ground}{shapes}</svg>'
    )
