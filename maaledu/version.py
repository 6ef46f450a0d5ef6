"""The version of MaalEdu: on /health/ready, in every log line, by `manage.py version`."""

VERSION = "0.2.0"
