"""Makes search terms of what a visitor typed, which every database compares in the same way."""

import unicodedata

MAX_QUERY_LENGTH = 100
# Raised whenever `fold` answers otherwise: `courses.folding` then folds what is stored again.
FOLDING = 4
# Letters that Unicode does not take apart, as people type them who do not have them: Latin ones,
# and Arabic ones that are written one way or the other. The tatweel only stretches a word.
SAME_AS = str.maketrans(
    {
        "ı": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe",
        "ħ": "h", "ŧ": "t", "ŋ": "n", "ĸ": "k",
        "ى": "ي", "ی": "ي", "ې": "ي", "ک": "ك", "ة": "ه", "ٱ": "ا", "ـ": None,
        "ہ": "ه", "ە": "ه",
        "’": "'", "‘": "'", "ʼ": "'", "ʻ": "'", "`": "'",
        "‐": "-", "‑": "-", "–": "-", "—": "-", "−": "-",
    }
)  # fmt: skip
# Below are nukta, virama and the voicing marks of kana: without them it is another letter.
LEAST_CLASS_OF_ACCENTS = 10


def clean_query(text: str) -> str:
    """Return at most 100 printable characters on one line, without surrogates.

    What cannot be seen, such as a soft hyphen or a joiner, is left out and parts no word.
    """
    seen = (each for each in text[: MAX_QUERY_LENGTH * 2] if unicodedata.category(each) != "Cf")
    kept = "".join(character if character.isprintable() else " " for character in seen)
    return " ".join(kept.split())[:MAX_QUERY_LENGTH].strip()


def fold(text: str) -> str:
    """Return the form in which text is stored for searching and compared.

    Compatible characters are unified; case, accents, vowel marks and invisible characters are
    removed: “İstanbul” is found by “istanbul”, “Résumé” by “resume”, “٢٠٢٦” by “2026”.
    """
    # Not left to the databases: SQLite ignores case for ASCII letters only, and none of the three
    # removes accents in the same way.
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    letters = "".join(_digit(each) for each in apart if not _is_left_out(each))
    return " ".join(unicodedata.normalize("NFC", letters.translate(SAME_AS)).split())


def _digit(character: str) -> str:
    """Return a digit of any script as one of ours, and any other character as it is."""
    return str(unicodedata.decimal(character)) if character.isdecimal() else character


def _is_left_out(character: str) -> bool:
    is_accent = unicodedata.combining(character) >= LEAST_CLASS_OF_ACCENTS
    return is_accent or unicodedata.category(character) == "Cf"


def search_words(text: str) -> list[str]:
    return list(dict.fromkeys(fold(clean_query(text)).split()))
