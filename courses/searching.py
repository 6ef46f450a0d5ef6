"""Makes search terms of what a visitor typed, which every database compares in the same way."""

import unicodedata

MAX_QUERY_LENGTH = 100


def clean_query(text: str) -> str:
    """Return at most 100 printable characters on one line, without surrogates."""
    kept = "".join(
        character if character.isprintable() else " " for character in text[: MAX_QUERY_LENGTH * 2]
    )
    return " ".join(kept.split())[:MAX_QUERY_LENGTH].strip()


def fold(text: str) -> str:
    """Return the form in which text is stored for searching and compared.

    Compatible characters are unified, and case is removed.
    """
    # Not left to the databases: SQLite ignores case for ASCII letters only.
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def search_words(text: str) -> list[str]:
    return list(dict.fromkeys(fold(clean_query(text)).split()))
