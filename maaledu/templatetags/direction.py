from django import template

from maaledu.direction import isolated

register = template.Library()
register.filter("isolated", isolated, is_safe=False)
