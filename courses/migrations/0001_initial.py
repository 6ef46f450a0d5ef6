import courses.outline
import courses.validators
import django.core.validators
import django.utils.timezone
import maaledu.db
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Course",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "slug",
                    models.CharField(
                        max_length=140,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[a-z0-9]+(-[a-z0-9]+)*\\Z",
                                "Use lower-case letters, digits and single hyphens between them, such as first-aid-for-workplaces.",
                                code="invalid_slug",
                            )
                        ],
                    ),
                ),
                ("title", models.CharField(max_length=140)),
                ("summary", models.CharField(max_length=200)),
                (
                    "description",
                    models.TextField(blank=True, help_text="Paragraphs, separated by blank lines."),
                ),
                (
                    "outcomes",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="What a learner can do afterwards.",
                        validators=[courses.outline.validate_outcomes],
                    ),
                ),
                (
                    "syllabus",
                    models.JSONField(
                        blank=True,
                        default=list,
                        validators=[courses.outline.validate_syllabus],
                    ),
                ),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("beginner", "Beginner"),
                            ("intermediate", "Intermediate"),
                            ("advanced", "Advanced"),
                        ],
                        default="beginner",
                        max_length=16,
                    ),
                ),
                (
                    "duration_hours",
                    models.PositiveIntegerField(default=0, verbose_name="hours of study"),
                ),
                (
                    "effort",
                    models.CharField(
                        blank=True, help_text="Such as “4 hours a week for 6 weeks”.", max_length=80
                    ),
                ),
                (
                    "instructors",
                    models.JSONField(
                        blank=True,
                        default=list,
                        validators=[courses.outline.validate_instructors],
                    ),
                ),
                (
                    "category",
                    models.CharField(
                        choices=[
                            ("data", "Data & technology"),
                            ("business", "Business & finance"),
                            ("health", "Health & care"),
                            ("public", "Public sector & law"),
                            ("education", "Teaching & training"),
                            ("creative", "Creative & media"),
                        ],
                        max_length=16,
                    ),
                ),
                ("language", models.CharField(default="English", max_length=40)),
                (
                    "price",
                    models.IntegerField(
                        help_text="In the currency's minor unit: 49900 is 499.00. 0 is free."
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        choices=[
                            ("usd", "USD"),
                            ("eur", "EUR"),
                            ("gbp", "GBP"),
                            ("aed", "AED"),
                            ("chf", "CHF"),
                            ("cad", "CAD"),
                            ("aud", "AUD"),
                            ("jpy", "JPY"),
                        ],
                        default="usd",
                        max_length=3,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("published", "Published"),
                            ("archived", "Archived"),
                        ],
                        default="draft",
                        editable=False,
                        max_length=16,
                    ),
                ),
                (
                    "lms_platform",
                    models.CharField(
                        choices=[("frappe", "Frappe LMS"), ("openedx", "Open edX")],
                        default="frappe",
                        max_length=16,
                        verbose_name="LMS",
                    ),
                ),
                (
                    "lms_course_id",
                    models.CharField(
                        blank=True,
                        help_text="Left empty, it is the slug (Frappe LMS only).",
                        max_length=140,
                        verbose_name="course in the LMS",
                    ),
                ),
                (
                    "lms_title",
                    models.CharField(db_default="", default="", editable=False, max_length=255),
                ),
                (
                    "lms_instructors",
                    models.TextField(
                        db_default="",
                        default="",
                        editable=False,
                        help_text="Their names, one per line.",
                    ),
                ),
                (
                    "lms_obstacles",
                    models.TextField(
                        db_default="",
                        default="",
                        editable=False,
                        help_text="Why nobody could be enrolled there, a sentence per line.",
                    ),
                ),
                (
                    "lms_image",
                    models.CharField(db_default="", default="", editable=False, max_length=500),
                ),
                ("lms_lessons", models.PositiveIntegerField(editable=False, null=True)),
                (
                    "lms_modified",
                    models.CharField(
                        db_default="",
                        default="",
                        editable=False,
                        help_text="As the LMS writes it.",
                        max_length=40,
                    ),
                ),
                ("lms_published", models.BooleanField(editable=False, null=True)),
                (
                    "lms_facts_at",
                    models.DateTimeField(
                        editable=False,
                        help_text="When the LMS said so; empty: not asked yet.",
                        null=True,
                    ),
                ),
                (
                    "lms_facts_of",
                    models.CharField(
                        db_default="",
                        default="",
                        editable=False,
                        help_text="Of which course.",
                        max_length=160,
                    ),
                ),
                (
                    "lms_unknown_of",
                    models.CharField(
                        db_default="",
                        default="",
                        editable=False,
                        help_text="The course that the LMS last said it has not.",
                        max_length=160,
                    ),
                ),
                (
                    "lms_facts_due_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now,
                        editable=False,
                        help_text="When the LMS is to be asked next.",
                        null=True,
                    ),
                ),
                (
                    "sample_title",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="A lesson that anybody may see before they pay. Empty: none.",
                        max_length=140,
                        verbose_name="title of the sample",
                    ),
                ),
                (
                    "sample_text",
                    models.TextField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="Paragraphs, separated by blank lines.",
                        max_length=8000,
                        verbose_name="text of the sample",
                    ),
                ),
                (
                    "sample_video",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="Its https address. Nothing is loaded from there before somebody opens it.",
                        max_length=300,
                        validators=[courses.validators.validate_video],
                        verbose_name="video of the sample",
                    ),
                ),
                (
                    "cover",
                    models.FileField(
                        blank=True,
                        db_default="",
                        default="",
                        editable=False,
                        upload_to="covers",
                    ),
                ),
                (
                    "cover_alt",
                    models.CharField(
                        blank=True, db_default="", default="", editable=False, max_length=140
                    ),
                ),
                ("search_text", models.TextField(default="", editable=False)),
                (
                    "search_folding",
                    models.PositiveSmallIntegerField(db_default=0, default=0, editable=False),
                ),
                (
                    "cover_kept",
                    models.CharField(db_default="", default="", editable=False, max_length=32),
                ),
                (
                    "holders_mailed_to",
                    models.UUIDField(
                        editable=False,
                        help_text=(
                            "The last grant whose holder has a mail that the course is off sale;"
                            " empty: all."
                        ),
                        null=True,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["-created_at", "-id"],
                "permissions": [("publish_course", "Can put courses on sale and take them off")],
                "indexes": [
                    models.Index(fields=["status", "-created_at", "-id"], name="course_newest"),
                    models.Index(
                        fields=["status", "category", "-created_at"], name="course_by_category"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="InstructorProfile",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="Exactly as the courses write it. They follow a change.",
                        max_length=140,
                        unique=True,
                    ),
                ),
                ("biography", models.TextField(blank=True, max_length=1000)),
                (
                    "link",
                    models.CharField(
                        blank=True,
                        help_text="Their own page, by https.",
                        max_length=300,
                        validators=[django.core.validators.URLValidator(schemes=["https"])],
                    ),
                ),
                (
                    "face",
                    models.FileField(
                        blank=True,
                        help_text="A portrait: JPEG, PNG or WebP of at most 5 MB. A square is cut from its middle.",
                        upload_to="faces",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={"ordering": ["name"]},
        ),
        migrations.CreateModel(
            name="Picture",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=maaledu.db.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True)),
                ("content", models.BinaryField(max_length=262144)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("unused_since", models.DateTimeField(editable=False, null=True)),
            ],
        ),
    ]
