"""Stand-ins for Stripe, Frappe LMS and a mail server, in one process of their own.

They speak the real wire formats over HTTP and SMTP, so the shop runs against them with nothing
changed but addresses and keys. No real money moves here and no course is real. Start it with
``python -m sandbox``.
"""
