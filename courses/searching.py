"""Turns what a visitor typed into words that are compared literally, the same on every database."""

import unicodedata

MAX_QUERY_LENGTH = 100


def clean_query(text: str) -> str:
    """Return at most 100 printable characters on one line; control characters and lone surrogates
    are dropped.
    """
    kept = "".join(
        character if character.isprintable() else " " for character in text[: MAX_QUERY_LENGTH * 2]
    )
    return " ".join(kept.split())[:MAX_QUERY_LENGTH].strip()


def fold(text: str) -> str:
    """Return the form in which text is stored for searching and compared: compatible characters
    unified, case removed.
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def search_words(text: str) -> list[str]:
    return list(dict.fromkeys(fold(clean_query(text)).split()))
