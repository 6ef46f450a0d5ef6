"""Colors of the covers: one family of hues for each category, each on three grounds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """The five colors of one cover.

    `ground` fills it, `strong` and `soft` are its two tones, `pop` is used once or twice, and
    `deep` is the darkest.
    """

    ground: str
    strong: str
    soft: str
    pop: str
    deep: str


PALETTES: dict[str, tuple[Palette, ...]] = {
    "data": (
        Palette("#1e3757", "#6f9fd0", "#3a5f8c", "#f0b23e", "#142740"),
        Palette("#b9cde3", "#2b5285", "#7c9fc8", "#d9552f", "#1e3757"),
        Palette("#2c4a6e", "#a9c6e6", "#55799f", "#ef7d57", "#1a3049"),
    ),
    "business": (
        Palette("#1d473e", "#7fb59b", "#3d7365", "#e6ac52", "#12322b"),
        Palette("#bcd3c2", "#2a6152", "#81a894", "#cf5f35", "#1d473e"),
        Palette("#35614f", "#cfe0cd", "#6a9a83", "#efc05f", "#1f4034"),
    ),
    "health": (
        Palette("#a94b3d", "#f2c2ac", "#c9705c", "#ffe3c9", "#6d2a26"),
        Palette("#e9c3b1", "#b5533f", "#d78f77", "#3f6f78", "#7d322c"),
        Palette("#7c3a3c", "#e3a08d", "#a65a54", "#f3cf8e", "#532527"),
    ),
    "public": (
        Palette("#473a5c", "#a895c4", "#6b5a86", "#dcb25f", "#2e2540"),
        Palette("#cbc1d9", "#5a4878", "#9a88b5", "#b5653b", "#3d3153"),
        Palette("#5c4d72", "#d9cfe8", "#85749f", "#e89c78", "#392e4a"),
    ),
    "education": (
        Palette("#c08226", "#fbe3b0", "#d9a450", "#7a2f1c", "#5c3410"),
        Palette("#ecd3a0", "#b06f1c", "#d3a352", "#2f5d62", "#6b3f14"),
        Palette("#6d4a1c", "#e5b962", "#96702f", "#f3e2bd", "#46300f"),
    ),
    "creative": (
        Palette("#272a33", "#ee6244", "#4a4e5c", "#f4b6bf", "#15171d"),
        Palette("#eebcc0", "#c43e34", "#e08d8c", "#2e3f8f", "#33262c"),
        Palette("#33386b", "#f08a6c", "#545b9c", "#f6d06b", "#1f2346"),
    ),
}
