from django.urls import path
from django.views.generic import TemplateView

from courses import views
from maaledu.public_pages import public_page

urlpatterns = [
    path("courses/", views.catalogue),
    path("", views.catalogue, name="catalogue"),
    path("courses/<slug:slug>/", views.course, name="course"),
    path("covers/<slug:slug>.svg", views.cover, name="course_cover"),
    *[
        path(
            f"{page}/",
            public_page(TemplateView.as_view(template_name=f"pages/{page}.html")),
            name=page,
        )
        for page in ("help", "privacy", "terms")
    ],
]
