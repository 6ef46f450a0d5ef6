"""The API as one object: its operations, and how it answers what they raise."""

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from api import affiliate, checkout, courses, enrollments, grants, sign_in, sync
from api.operations import router
from api.reading import JsonObjects, refusal_of
from maaledu.errors import AppError, BadRequest, NotFound, PayloadTooLarge
from maaledu.http import error_response

VERSION = "1.0"
# Each declares its addresses on the router as it is imported.
PARTS = (courses, sign_in, checkout, grants, affiliate, enrollments, sync)

api = NinjaAPI(
    title="MaalEdu",
    version=VERSION,
    openapi_url=None,
    docs_url=None,
    urls_namespace="api",
    parser=JsonObjects(),
    default_router=router,
)


@api.exception_handler(AppError)
def refuse(request: HttpRequest, error: AppError) -> HttpResponse:
    return error_response(request, error)


@api.exception_handler(ValidationError)
def refuse_input(request: HttpRequest, error: ValidationError) -> HttpResponse:
    return error_response(request, refusal_of(error.errors))


@api.exception_handler(HttpError)
def refuse_body(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Answer for ninja, which hides why a body was not read behind an error of its own."""
    cause = error.__cause__
    return error_response(request, cause if isinstance(cause, AppError) else BadRequest())


@api.exception_handler(RequestDataTooBig)
def refuse_size(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    """Answer where ninja has looked for a body of more than any request may have."""
    return error_response(request, PayloadTooLarge())


@api.exception_handler(Http404)
def refuse_unknown(request: HttpRequest, error: Http404) -> HttpResponse:
    return error_response(request, NotFound())


@api.exception_handler(Exception)
def leave_to_django(request: HttpRequest, error: Exception) -> HttpResponse:
    raise error
