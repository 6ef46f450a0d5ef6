#!/usr/bin/env python
"""Django's command line for MaalEdu."""

import gc
import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from maaledu.version import VERSION

if __name__ == "__main__":
    gc.disable()  # until all is loaded: see maaledu.apps
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "maaledu.settings")
    # Django answers this one itself, with its own version, before it looks for commands.
    if sys.argv[1:] == ["version"]:
        sys.stdout.write(f"MaalEdu {VERSION}, Django {django.get_version()}\n")
    else:
        try:
            execute_from_command_line(sys.argv)
        except ImproperlyConfigured as error:
            # The sentence says what to set. 2 is also the doctor's code for what is wrong.
            sys.stderr.write(f"{error}\n")
            sys.exit(2)
