"""Make the requests of one project in a process of its own, and count their statements.

`python -m bench.probe MODULE` takes one JSON object a line on standard input and answers with one:
{"do": "make" | "count" | "call" | "statements" | "measure" | "names", "case", "count"}.
"""

import importlib
import io
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO
from wsgiref.util import setup_testing_defaults

from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bench import costs
from bench.requests import Request

MARKS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


def main() -> None:
    answers, complaints = (os.fdopen(os.dup(number), "w") for number in (1, 2))
    for number in (1, 2):  # the product's logs lead nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    try:
        _serve(answers)
    except Exception:
        traceback.print_exc(file=complaints)
        raise


def _serve(answers: TextIO) -> None:
    application = get_wsgi_application()
    module = importlib.import_module(sys.argv[1])
    for line in sys.stdin:
        command = json.loads(line)
        name, count = command["case"], command["count"]
        match command["do"]:
            case "make":
                answer: Any = [request.as_dict() for request in module.CASES[name].make(count)]
            case "count":
                answer = _count(application, module.CASES[name].make(count))
            case "call":
                answer = _time(module.CALLS[name](), count)
            case "statements":
                answer = _count_calls(module.CALLS[name](), count)
            case "measure":
                answer = costs.measure(module.CALLS[name](), count)
            case "names":
                answer = list(module.CALLS)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _count(application: Callable, requests: list[Request]) -> dict[str, int]:
    """Count the statements and the committed transactions of the last of these requests."""
    for request in requests:
        with CaptureQueriesContext(connection) as captured:
            response = application(_environ(request), _start_response)
            list(response)
            response.close()
    texts = [query["sql"] for query in captured.captured_queries]
    return {
        "statements": sum(not text.startswith(MARKS) for text in texts),
        "transactions": texts.count("COMMIT"),
    }


def _start_response(status: str, headers: list[tuple[str, str]]) -> None:
    """Take what WSGI hands a server beside the body, and drop it."""


def _count_calls(call: Callable[[], object], count: int) -> int:
    """Count the statements of the last of so many calls."""
    for _ in range(count):
        with CaptureQueriesContext(connection) as captured:
            call()
    return sum(not query["sql"].startswith(MARKS) for query in captured.captured_queries)


def _environ(request: Request) -> dict[str, Any]:
    body, (path, _, query) = request.body.encode(), request.path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_HOST": "127.0.0.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "wsgi.input": io.BytesIO(body),
    }
    environ.update(
        {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
    )
    setup_testing_defaults(environ)
    return environ


def _time(call: Callable[[], object], count: int) -> dict[str, Any]:
    """Return the CPU time of a call on average, and the wall time of each but the first, in µs."""
    call()
    wall, cpu_start = [], time.process_time_ns()
    for _ in range(count - 1):
        start = time.perf_counter_ns()
        call()
        wall.append((time.perf_counter_ns() - start) / 1000)
    return {"cpu": (time.process_time_ns() - cpu_start) / 1000 / len(wall), "wall": wall}


if __name__ == "__main__":
    main()
