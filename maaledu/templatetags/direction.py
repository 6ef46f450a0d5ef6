from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from maaledu.direction import isolated

register = template.Library()
register.filter("isolated", isolated, is_safe=False)


@register.filter
def breakable(address: str) -> SafeString:
    """Return an e-mail address that is broken after its @ where it has no room on a line."""
    return format_html("{}@<wbr>{}", *address.split("@", 1)) if "@" in address else escape(address)
