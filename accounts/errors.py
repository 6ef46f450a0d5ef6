from maaledu.errors import AppError


class AuditLogIsAppendOnly(AppError):
    code = "AUDIT_LOG_APPEND_ONLY"
    message = "An entry of the change log is never changed or deleted."
    http_status = 409


class NoSecondFactor(AppError):
    code = "NO_SECOND_FACTOR"
    message = "This person has no second factor that could be taken away."
    http_status = 409


class OwnSecondFactor(AppError):
    code = "OWN_SECOND_FACTOR"
    message = "Your own second factor is concerned. Please ask a colleague to do this."
    http_status = 403


class ViewRefused(AppError):
    code = "VIEW_REFUSED"
    message = (
        "This view cannot be kept: give it a name of at most 60 plain characters, and choose"
        " filters or an order of this list."
    )
    http_status = 400


class TooManyViews(AppError):
    code = "TOO_MANY_VIEWS"
    message = "You keep as many views as there may be: 20 of a list, 100 in all. Remove one first."
    http_status = 409


class ViewsChanged(AppError):
    code = "VIEWS_CHANGED"
    message = "Your views were changed at the same moment. Please try again."
    http_status = 409
