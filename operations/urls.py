from django.urls import path

from operations import cron, health

urlpatterns = [
    path("health/live", health.live, name="health_live"),
    path("health/ready", health.ready, name="health_ready"),
    path("api/health/frappe", health.frappe_health, name="health_frappe"),
    path("api/cron/expire-grants", cron.expire_grants, name="cron_expire_grants"),
]
