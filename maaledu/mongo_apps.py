"""Django's and allauth's apps on MongoDB, where their keys are ObjectIds (mongo_migrations/)."""

from allauth.account.apps import AccountConfig
from allauth.mfa.apps import MFAConfig
from django.contrib.auth.apps import AuthConfig
from django.contrib.contenttypes.apps import ContentTypesConfig

from maaledu.office_app import OfficeAdminConfig

OBJECT_ID = "django_mongodb_backend.fields.ObjectIdAutoField"


class MongoAdminConfig(OfficeAdminConfig):
    default_auto_field = OBJECT_ID


class MongoAuthConfig(AuthConfig):
    default_auto_field = OBJECT_ID


class MongoContentTypesConfig(ContentTypesConfig):
    default_auto_field = OBJECT_ID


class MongoAccountConfig(AccountConfig):
    default_auto_field = OBJECT_ID


class MongoMfaConfig(MFAConfig):
    # Numbers: allauth puts the key into the session, which is JSON, and into addresses as <int>.
    default_auto_field = "maaledu.mongo_fields.RandomKeyField"
