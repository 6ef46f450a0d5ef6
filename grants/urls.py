from django.urls import path

from grants import views

urlpatterns = [
    path("grants/", views.programs, name="grants"),
    path("grants/apply/<str:slug>/", views.ApplyView.as_view(), name="grant_apply"),
    path("grants/apply/<str:slug>/done/", views.applied, name="grant_applied"),
    path("grants/<str:token>/", views.grant_page, name="grant"),
    path("grants/<str:token>/withdraw/", views.WithdrawView.as_view(), name="grant_withdraw"),
]
