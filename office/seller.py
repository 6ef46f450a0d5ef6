"""Who sells, as learners read it: the settings, where each is shown, and what is missing."""

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from maaledu import seller, seller_setting_rules

# The variable, what it is, and where learners read it beside the footer of each page.
SHOWN = (
    ("SITE_NAME", "Name of the shop", "headers, mails, search engines"),
    ("COMPANY_NAME", "Company", "mails, invoices, the page About"),
    ("COMPANY_ADDRESS", "Address", "mails, invoices, the page About"),
    ("COMPANY_TAX_ID", "Tax ID", "mails, invoices, the page About"),
    ("COMPANY_PHONE", "Phone", "mails, invoices, the page About"),
    ("SUPPORT_EMAIL", "Support address", "mails, error pages, Help"),
    ("SECURITY_EMAIL", "Security address", "security.txt alone"),
)


@never_cache
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Show staff what is said of the company. It is changed where the shop is set up."""
    context = {
        **admin.site.each_context(request),
        "title": "Who sells",
        "rows": [(name, label, getattr(settings, name), where) for name, label, where in SHOWN],
        "imprint": seller.imprint(),
        "problems": _problems(),
    }
    return render(request, "admin/seller.html", context)


def _problems() -> list[str]:
    rules = (seller_setting_rules.seller, seller_setting_rules.support, seller_setting_rules.texts)
    return [sentence for rule in rules for sentence in rule()]
