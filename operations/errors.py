from maaledu.errors import AppError


class CronRefused(AppError):
    code = "CRON_REFUSED"
    message = "This address is for the scheduler."
    http_status = 401
