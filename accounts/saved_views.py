"""Views of the office's lists that a member of staff keeps: a name, and the filters behind it.

All of a person's are one text in their own row, which every request reads anyway: a list shows them
without a statement of its own.
"""

import json
from collections.abc import Mapping

from accounts.errors import TooManyViews, ViewRefused, ViewsChanged
from accounts.models import User
from maaledu.names import ControlCharacters, clean_name

MOST_OF_A_LIST, MOST_IN_ALL = 20, 100
LONGEST_NAME, LONGEST_QUERY = 60, 500  # characters

Views = dict[str, dict[str, str]]  # of each list, such as "payments.payment": query by name


def of(user: User, of_list: str) -> dict[str, str]:
    """Return the views that this person keeps of a list: the query by the name, oldest first."""
    return _read(user).get(of_list, {})


def keep(user: User, of_list: str, *, name: str, query: str) -> str:
    """Keep a view, in place of that of the same name; return the name as it is kept.

    Raises ViewRefused, TooManyViews, and ViewsChanged where the views were changed since `user` was
    read.
    """
    plain = _plain(name)
    if not query or len(query) > LONGEST_QUERY:
        raise ViewRefused
    views = _read(user)
    kept = {**views.get(of_list, {}), plain: query}
    views[of_list] = kept
    if len(kept) > MOST_OF_A_LIST or sum(map(len, views.values())) > MOST_IN_ALL:
        raise TooManyViews
    _write(user, views)
    return plain


def remove(user: User, of_list: str, *, name: str) -> bool:
    """Remove a view; return whether there was one of this name. Raises ViewsChanged."""
    views = _read(user)
    left = {each: query for each, query in views.get(of_list, {}).items() if each != name}
    if left == views.get(of_list, {}):
        return False
    _write(user, {**views, of_list: left})
    return True


def _plain(name: str) -> str:
    try:
        plain = clean_name(name)
    except ControlCharacters as error:
        raise ViewRefused from error
    if not 0 < len(plain) <= LONGEST_NAME:
        raise ViewRefused
    return plain


def _read(user: User) -> Views:
    return json.loads(user.saved_views) if user.saved_views else {}


def _write(user: User, views: Mapping[str, Mapping[str, str]]) -> None:
    # The WHERE keeps what another window has saved since this one's page was asked for.
    text = json.dumps({of_list: kept for of_list, kept in views.items() if kept})
    before = User.objects.filter(pk=user.pk, saved_views=user.saved_views)
    if before.update(saved_views=text) != 1:
        raise ViewsChanged
    user.saved_views = text
