"""The two measures that everything is a ratio to."""

from bench.requests import Case, Request, same_page, signed

SESSION_BYTES = 2200  # about the size of a real session in JSON


def _writes(count: int) -> list[Request]:
    return [
        signed("/write/", {"object": "checkout.session", "filler": "x" * SESSION_BYTES})
        for _ in range(count)
    ]


CASES = {"bare page": same_page("/"), "bare write": Case(_writes)}
