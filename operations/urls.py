from django.contrib import admin
from django.urls import path

from lms_sync.connection import FRAPPE, OPENEDX
from operations import cron, health, metrics_page, report_page, status_page, stripe_page

urlpatterns = [
    path("health/live", health.live, name="health_live"),
    path("health/ready", health.ready, name="health_ready"),
    path("health/work", health.work, name="health_work"),
    path("status/", status_page.show, name="service_status"),
    path("metrics", metrics_page.show, name="metrics"),
    path("api/admin/cache-stats", metrics_page.cache_stats, name="cache_stats"),
    *(
        path(f"api/health/{name}", health.lms_health, {"platform": name}, name=f"health_{name}")
        for name in (FRAPPE, OPENEDX)
    ),
    path("admin/reports/", admin.site.admin_view(report_page.show), name="reports"),
    path("admin/stripe-check/", admin.site.admin_view(stripe_page.show), name="stripe_check"),
    # Two names of one address, as schedulers know it (decisions).
    path("api/cron/frappe-retry", cron.retry_lms_jobs, name="cron_frappe_retry"),
    path("api/cron/retry-frappe-sync", cron.retry_lms_jobs, name="cron_retry_frappe_sync"),
    path("api/cron/expire-grants", cron.expire_grants, name="cron_expire_grants"),
]
