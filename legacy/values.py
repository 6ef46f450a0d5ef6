"""What the old platform's values mean: amounts, moments, addresses, names, codes and keys.

Source: contracts/legacy, rules L1-L3 and L7. Nothing about money is guessed.
"""

import hashlib
import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from bson import Decimal128, ObjectId
from bson.datetime_ms import DatetimeMS
from django.core.exceptions import ValidationError

from accounts.emails import normalize_email
from grants.codes import normalize_code
from maaledu.storable import clean

CENT = Decimal("0.01")
NEARLY = Decimal("0.000001")
LARGEST = 10**12  # minor units
PLAIN_NUMBER = re.compile(r"\s*\d{1,15}(\.\d{0,20})?\s*")
BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
LONGEST_NAME = 140
EXACT = 2**53  # up to here a double holds every whole number
LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # so that something can still be after it
USUAL_RATE = 1000  # basis points: what the old platform gave where nothing else is written
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# In the time of a key that names no moment: the key itself is what counts.
NO_MOMENT_MS = 1_735_689_600_000


def minor_units(value: Any, notes: set[str]) -> int | None:
    """Return a JavaScript number of units as minor units, None for what is no amount (L2)."""
    exact = _decimal(value, notes)
    if exact is None or not exact.is_finite() or exact < 0 or exact > LARGEST:
        return None
    rounded = exact.quantize(CENT, ROUND_HALF_UP)
    if exact != rounded:
        notes.add("float_noise")
    return int(rounded * 100) if abs(exact - rounded) < NEARLY else None


def _decimal(value: Any, notes: set[str]) -> Decimal | None:
    if isinstance(value, Decimal128):
        notes.add("amount_decimal128")
        return value.to_decimal()
    if isinstance(value, str):
        if not PLAIN_NUMBER.fullmatch(value):
            return None
        notes.add("amount_string")
        return Decimal(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(repr(value) if isinstance(value, float) else int(value))


def whole_number(value: Any) -> int | None:
    """Return a number without decimals, whatever type the old database gave it."""
    exact = _decimal(value, set())
    is_whole = exact is not None and exact.is_finite() and exact == exact.to_integral_value()
    return int(exact) if exact is not None and is_whole and abs(exact) < LARGEST else None


def percent_points(value: Any) -> int | None:
    """Return a percentage as basis points: 10 is 1000, and 2.5 is 250; None if it is neither."""
    exact = _decimal(value, set())
    if exact is None or not exact.is_finite() or not 0 <= exact <= 100:
        return None
    points = exact * 100
    return int(points) if points == points.to_integral_value() else None


def rate_of(value: Any, notes: set[str]) -> int:
    """Return an affiliate's rate in basis points; the usual one where none is written, or none that
    can be read, which is noted: with 0 an affiliate would earn nothing, and nobody would know.
    """
    points = None if value is None else percent_points(value)
    if points is None and value is not None:
        notes.add("rate_unreadable")
    return USUAL_RATE if points is None else points


def moment_of(value: Any) -> datetime | None:
    """Return a date or its ISO text in whole milliseconds, None for anything else (L3)."""
    try:
        if isinstance(value, DatetimeMS):
            value = value.as_datetime()
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
        if not isinstance(value, datetime):
            return None
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        aware = aware.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return min(aware.replace(microsecond=aware.microsecond // 1000 * 1000), LATEST)


def made_at(key: Any) -> datetime | None:
    """Return when a document was made, as its ObjectId says."""
    return key.generation_time.astimezone(UTC) if isinstance(key, ObjectId) else None


def address_of(value: Any) -> str | None:
    """Return the normal form of an e-mail address, None for what is none (L1)."""
    try:
        return normalize_email(value) if isinstance(value, str) else None
    except ValidationError:
        return None


def name_of(value: Any, notes: set[str]) -> str:
    """Return a name as text that every database stores, cut to the length of its column."""
    text = value if isinstance(value, str) else ""
    kept = clean(text)[:LONGEST_NAME].strip()
    if kept != text.strip():
        notes.add("name_cleaned")
    if "<" in kept:
        notes.add("html_in_name")
    return kept


def text_of(value: Any, longest: int) -> str:
    return clean(value)[:longest].strip() if isinstance(value, str) else ""


def coupon_code(value: Any) -> str:
    """Return a coupon's code in the spelling of this shop, "" where there is none (L7)."""
    code = normalize_code(value) if isinstance(value, str) else ""
    return code if len(code) > len("MAAL-") else ""


def password_of(value: Any) -> str:
    """Return the hash as Django stores it, "" for what is no bcrypt hash (L10)."""
    usable = isinstance(value, str) and len(value) == 60 and BCRYPT.fullmatch(value)
    return f"bcrypt${value}" if usable else ""


# --- keys and digests -----------------------------------------------------------------------------
def key_of(*names: str) -> uuid.UUID:
    """Return the primary key of what is made from these: the same in every run (UUID version 7).

    So a run that was cut off makes no second row, and rows can name one another before either is
    written.
    """
    seed = hashlib.sha256("\n".join(names).encode()).digest()
    bits = int.from_bytes(seed[:10], "big")
    number = NO_MOMENT_MS << 80 | 0x7 << 76 | (bits >> 68 & 0xFFF) << 64
    return uuid.UUID(int=number | 0b10 << 62 | bits & (1 << 62) - 1)


def digest_of(value: Any) -> str:
    """Return a digest of a document or of columns, whichever format it was read from."""
    return hashlib.sha256(_canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: Any) -> str:
    """Write the value so that all formats of the same document give the same text."""
    match value:
        case dict():
            pairs = (f"{name!r}:{_canonical(value[name])}" for name in sorted(value))
            text = "{" + ",".join(pairs) + "}"
        case list() | tuple():
            text = "[" + ",".join(map(_canonical, value)) + "]"
        case float() if value.is_integer() and abs(value) < EXACT:
            text = str(int(value))
        case bool() | None:
            text = repr(value)
        case int():
            text = str(int(value))
        case str():
            text = repr(str(value))
        case _:
            text = _canonical_scalar(value)
    return text


def _canonical_scalar(value: Any) -> str:
    if isinstance(value, datetime):
        return f"t{(value.astimezone(UTC) - EPOCH) // timedelta(milliseconds=1)}"
    if isinstance(value, DatetimeMS):
        return f"t{int(value)}"
    if isinstance(value, bytes):
        return f"b{bytes(value).hex()}"
    return f"{type(value).__name__}:{value}"
