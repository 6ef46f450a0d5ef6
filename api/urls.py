from django.urls import path

from api import views
from api.site import api

urlpatterns = [
    path("api/", views.root, name="api_root"),
    path("api/docs", views.reference, name="api_reference"),
    path("api/openapi.json", views.openapi, name="openapi"),
    path("api/", api.urls),
]
