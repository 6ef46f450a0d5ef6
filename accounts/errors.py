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
