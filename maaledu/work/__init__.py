"""The work machine: one way to run Stripe events, LMS jobs and e-mails from tables of the database.

The table is the queue; a message to the workers (by Celery, or an event inside the embedded worker)
only says "look now". A claim takes a lease and raises the fence; a settlement counts only with the
fence of its own claim; an item whose lease ran out is claimed again. Source: architecture, "Work
that must not be lost".
"""
