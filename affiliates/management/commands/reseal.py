from itertools import chain

from django.core.management.base import BaseCommand, CommandError

from accounts import second_factor
from affiliates.resealing import reseal


class Command(BaseCommand):
    help = (
        "Encrypts payees' accounts and second factors with the first of DETAILS_KEYS, and renews"
        " the hashes of accounts by SECRET_KEY; afterwards old keys may go. Safe to repeat. Exit"
        " code 1 if one cannot be read by any key; it is named."
    )

    def handle(self, *args, **options) -> None:
        done, unreadable = 0, []
        for row, is_readable in chain(reseal(), second_factor.reseal()):
            if is_readable:
                done += 1
            else:
                unreadable.append(f"{row._meta.verbose_name} {row.pk}")
        for name in unreadable:
            self.stdout.write(f"cannot be read: {name}")
        if unreadable:
            raise CommandError(
                f"{done} encrypted anew. {len(unreadable)} cannot be read by any of DETAILS_KEYS:"
                " put the key back that sealed them, or have those affiliates enter their account"
                " again, and reset those second factors."
            )
        self.stdout.write(f"{done} encrypted anew. Old keys may go from DETAILS_KEYS.")
