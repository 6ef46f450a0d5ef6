"""Print the API's document, for docs/openapi.json.

After a change of the API: `.venv/bin/python -m script.openapi > docs/openapi.json`.
"""

import json
import os
import sys
from importlib import import_module

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "maaledu.settings")


def main() -> None:
    django.setup()
    document = import_module("api.document").document()
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
