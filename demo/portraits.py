"""Portraits of the demo's people, who do not exist: drawn from the name, and made a PNG."""

from collections.abc import Sequence

import resvg_py

from courses.cover_dice import Dice

SKINS = ("#f1cfb4", "#e3b08a", "#c98e63", "#a56b43", "#7c4a2d", "#5b3521")
HAIRS = ("#1f1a18", "#3b2a20", "#6b4426", "#a8703a", "#c9c3ba", "#8c2f1f")
GROUNDS = ("#b9cde3", "#bcd3c2", "#e9c3b1", "#cbc1d9", "#ecd3a0", "#eebcc0")
CLOTHES = ("#1e3757", "#1d473e", "#a94b3d", "#473a5c", "#c08226", "#272a33")
HEAD = '<ellipse cx="160" cy="142" rx="62" ry="76" fill="{skin}"/>'
NECK = '<path fill="{skin}" d="M134 190h52v60h-52z"/>'
BODY = '<path fill="{cloth}" d="M36 330c0-70 54-102 124-102s124 32 124 102z"/>'
FACE = (
    '<g fill="none" stroke="#1b1d22" stroke-width="5" stroke-linecap="round">'
    '<path d="M132 136v8M188 136v8M138 178c12 14 32 14 44 0"/>'
    '<path d="M160 142v18h-8" stroke-width="3" stroke-opacity=".5"/>'
    '<path d="M122 118q12-8 22 0M176 118q12-8 22 0" stroke="{hair}"/></g>'
)
GLASSES = (
    '<g fill="none" stroke="#1b1d22" stroke-width="4"><circle cx="134" cy="140" r="21"/>'
    '<circle cx="186" cy="140" r="21"/><path d="M155 138h10"/></g>'
)
# What is behind the head, and what is over it.
STYLES = (
    ("", "M94 136c-6-66 34-88 68-88s72 20 66 88c-12-30-34-46-70-46s-54 20-64 46z"),
    (
        '<path fill="{hair}" d="M84 250c-16-90-12-210 76-210s92 120 76 210z"/>',
        "M98 132c8-44 38-62 64-62s56 18 62 62c-30-12-52-26-62-44-12 20-34 34-64 44z",
    ),
    (
        '<circle cx="160" cy="112" r="92" fill="{hair}"/>',
        "M98 122c10-36 36-48 62-48s54 12 62 48c-40-16-84-16-124 0z",
    ),
    (
        '<circle cx="160" cy="44" r="30" fill="{hair}"/>',
        "M96 132c0-56 32-74 64-74s64 18 64 74c-18-28-40-40-64-40s-46 12-64 40z",
    ),
    (
        '<path fill="{hair}" d="M92 170c-10-80 10-132 68-132s78 52 68 132z"/>',
        "M96 140c6-44 24-66 86-68 24 10 40 34 42 68-10-24-22-36-40-42-30 20-60 30-88 42z",
    ),
    ("", "M96 128c2-52 34-72 64-72s62 20 64 72c-8-14-16-22-26-26-24 8-52 8-76 0-10 4-18 12-26 26z"),
)


def draw(name: str, look: Sequence[int]) -> bytes:
    """Return the portrait of this name as a PNG; `look` numbers the style, skin and hair."""
    return resvg_py.svg_to_bytes(svg_string=_svg(Dice(name), *look), skip_system_fonts=True)


def _svg(dice: Dice, style: int, skin: int, hair_color: int) -> str:
    colors = {
        "skin": SKINS[skin],
        "hair": HAIRS[hair_color],
        "cloth": dice.pick(CLOTHES),
        "ground": dice.pick(GROUNDS),
    }
    behind, over = STYLES[style]
    hair = f'<path fill="{{hair}}" d="{over}"/>'
    glasses = GLASSES if dice.below(3) == 0 else ""
    drawing = (
        '<path fill="{ground}" d="M0 0h320v320H0z"/>'
        f"{behind}{NECK}{BODY}{HEAD}{FACE}{hair}{glasses}"
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="320">'
        f"{drawing.format(**colors)}</svg>"
    )
