"""The web server's application. Gunicorn runs no checks, so this module does."""

import gc
import os

from django.core.wsgi import get_wsgi_application

from maaledu.checks import refuse_unsafe_start

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "maaledu.settings")

gc.disable()  # until all is loaded: see maaledu.apps
application = get_wsgi_application()
refuse_unsafe_start()
