"""Where an affiliate's money goes: checked, encrypted, and shown only in part."""

from dataclasses import dataclass
from typing import Any

from stdnum import iban
from stdnum.exceptions import ValidationError as InvalidNumber

from affiliates.models import Affiliate
from maaledu.vault import fingerprint, fingerprints, seal, unseal

SHOWN = 4


class InvalidIban(ValueError):
    """Not an IBAN: its length, its country or its check digits are wrong."""


@dataclass(frozen=True)
class PayoutDetails:
    """`account` is an IBAN for a bank transfer, an address for PayPal, "" for "decide later"."""

    method: str
    payee_name: str = ""
    account: str = ""

    @property
    def hint(self) -> str:
        """Return what may be shown: enough to recognize one's own account, too little to use it."""
        if self.method == Affiliate.BANK:
            return f"{self.account[:2]}•• •••• {self.account[-SHOWN:]}"
        if self.method == Affiliate.PAYPAL:
            local, _, domain = self.account.partition("@")
            return f"{local[:1]}•••@{domain}"
        return ""

    def fields(self) -> dict[str, Any]:
        """Return the columns that hold these details, with the account encrypted."""
        return {
            "payout_method": self.method,
            "payee_name": self.payee_name,
            "payout_sealed": seal({"account": self.account}) if self.account else "",
            "payout_hint": self.hint,
            "payout_key": account_key(self.method, self.account) if self.account else "",
        }


def account_key(method: str, account: str) -> str:
    """Return a keyed hash, equal for equal accounts and of no other use."""
    return fingerprint("payout", f"{method}:{account}")


def account_keys(method: str, account: str) -> set[str]:
    """Return what `account_key` may have returned, also before SECRET_KEY was changed."""
    return fingerprints("payout", f"{method}:{account}")


def read_iban(text: str) -> str:
    """Return an IBAN in its plain form. Raises InvalidIban for a wrong layout or check digits."""
    try:
        return iban.validate(text)
    except InvalidNumber as error:
        raise InvalidIban from error


def account_in(sealed: str) -> str:
    """Return the IBAN or address that was encrypted. Raises CannotOpen."""
    return str(unseal(sealed)["account"])
