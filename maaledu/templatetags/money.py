"""`{{ amount|money:currency }}`: an amount in the minor unit as a reader expects it."""

from django import template

from maaledu.money import Money

register = template.Library()


@register.filter
def money(amount: int, currency: str) -> Money:
    return Money(amount, currency)
