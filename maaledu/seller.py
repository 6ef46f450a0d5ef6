"""Who sells: what every footer, mail, invoice and search engine says of the company."""

from typing import Any

from django.conf import settings
from django.utils.translation import gettext


def address_lines() -> list[str]:
    """Return the lines of the address, which COMPANY_ADDRESS parts by semicolons."""
    return [line.strip() for line in settings.COMPANY_ADDRESS.split(";") if line.strip()]


def imprint() -> str:
    """Return company, address, tax id and phone on one line, each number unbroken."""
    parts = [settings.COMPANY_NAME, *address_lines()]
    line = ", ".join(part for part in parts if part)
    number = settings.COMPANY_TAX_ID
    tax_id = gettext("Tax ID %(number)s") % {"number": number} if number else ""
    numbers = (part.replace(" ", "\N{NO-BREAK SPACE}") for part in (tax_id, settings.COMPANY_PHONE))
    return " · ".join(part for part in (line, *numbers) if part)


def facts() -> dict[str, Any]:
    """Return who sells, for the pages of the shop."""
    return {
        "company": settings.COMPANY_NAME,
        "address": address_lines(),
        "tax_id": settings.COMPANY_TAX_ID,
        "phone": settings.COMPANY_PHONE,
        "imprint": imprint(),
    }


def organization() -> dict[str, Any]:
    """Return who sells as schema.org data."""
    known = {
        "legalName": settings.COMPANY_NAME,
        "address": ", ".join(address_lines()),
        "taxID": settings.COMPANY_TAX_ID,
        "telephone": settings.COMPANY_PHONE,
        "email": settings.SUPPORT_EMAIL,
    }
    return {
        "@type": "Organization",
        "name": settings.SITE_NAME,
        "url": settings.SITE_URL,
        **{name: value for name, value in known.items() if value},
    }
