from maaledu.errors import AppError


class CronRefused(AppError):
    code = "CRON_REFUSED"
    message = "This address is for the scheduler."
    http_status = 401


class MonitorRefused(AppError):
    code = "MONITOR_REFUSED"
    message = "This address is for monitors of ours."
    http_status = 401
