"""Currencies Stripe takes: their exponents and the least that may be charged."""

from __future__ import annotations

# Codes read better as words.
ZERO_DECIMAL = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()  # noqa: SIM905
)
THREE_DECIMAL = frozenset("bhd iqd jod kwd lyd omr tnd".split())  # noqa: SIM905
OTHERS = """
aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bmd bnd bob brl bsd bwp byn bzd cad cdf
chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr
ils inr isk jmd jod kes kgs khr kwd kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk
mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd
shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs wst xcd yer zar zmw
"""
CURRENCIES = ZERO_DECIMAL | frozenset(OTHERS.split())
MINIMUMS = {
    "usd": 50,
    "aed": 200,
    "aud": 50,
    "bgn": 100,
    "brl": 50,
    "cad": 50,
    "chf": 50,
    "czk": 1500,
    "dkk": 250,
    "eur": 50,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "inr": 50,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "nzd": 50,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "sgd": 50,
    "thb": 1000,
}
MAXIMUM = 99_999_999


def exponent(currency: str) -> int:
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def display(amount: int, currency: str) -> str:
    """Return an amount of minor units as people write it, such as ``49.00 USD``."""
    places = exponent(currency)
    whole, fraction = divmod(amount, 10**places)
    return (
        f"{whole:,}.{fraction:0{places}d} {currency.upper()}"
        if places
        else f"{whole:,} {currency.upper()}"
    )


def minor(text: str, currency: str) -> int:
    """Return an amount as people write it, such as ``12.50``, in minor units. Raises ValueError."""
    whole, _, fraction = text.strip().replace(",", ".").partition(".")
    places = exponent(currency)
    digits = whole + fraction.ljust(places, "0")
    if len(fraction) > places or not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{text} is not an amount in {currency.upper()}.")
    return int(digits)
