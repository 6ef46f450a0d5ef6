from django.utils.translation import gettext_noop as _

from maaledu.errors import AppError


class LedgerIsAppendOnly(AppError):
    code = "LEDGER_APPEND_ONLY"
    message = "An entry of the ledger is never changed or deleted. Correct it by another entry."
    http_status = 409


class AlreadyAffiliate(AppError):
    code = "ALREADY_AFFILIATE"
    message = _("You are in the affiliate program already.")
    http_status = 409


class AddressNotVerified(AppError):
    code = "EMAIL_NOT_VERIFIED"
    message = _("Please confirm your e-mail address first.")
    http_status = 403


class AccountIsClosed(AppError):
    code = "ACCOUNT_IS_CLOSED"
    message = "The account of this affiliate is closed: nobody signs in with it."
    http_status = 409


class NotAnAffiliate(AppError):
    code = "NOT_AN_AFFILIATE"
    message = _("This account is not in the affiliate program.")
    http_status = 404


class InvalidJoining(AppError):
    code = "INVALID_JOINING"
    message = _("Please check what you entered.")
    http_status = 400


class EntryNotFound(AppError):
    code = "ENTRY_NOT_FOUND"
    message = _("We could not find that entry.")
    http_status = 404


class StatementNotFound(AppError):
    code = "STATEMENT_NOT_FOUND"
    message = _("There is no statement for that month.")
    http_status = 404


class PayoutRefused(AppError):
    code = "PAYOUT_REFUSED"
    message = "This payout cannot be made."
    http_status = 409


class SamePerson(PayoutRefused):
    code = "SAME_PERSON"
    message = "Whoever drafted a payout cannot release it. Ask a colleague."
    http_status = 403


class OwnAccount(AppError):
    code = "OWN_ACCOUNT"
    message = "Your own affiliate account is concerned. Please ask a colleague to do this."
    http_status = 403


class PayeeNotActive(PayoutRefused):
    code = "PAYEE_NOT_ACTIVE"
    message = "An affiliate of this batch is not active, and is not paid for now."


class FileWasMade(PayoutRefused):
    code = "PAYOUT_FILE_WAS_MADE"
    message = (
        "The payout file was downloaded. Cancel only what was not sent to the bank or to PayPal, or"
        " came back, and say so: otherwise it is paid twice."
    )


class BalanceTooLow(PayoutRefused):
    code = "BALANCE_TOO_LOW"
    message = "The balance does not cover this payout any more."


class NothingToPay(PayoutRefused):
    code = "NOTHING_TO_PAY"
    message = "No affiliate has enough to pay out by that day in that currency and by that method."


class SignInNeeded(AppError):
    code = "SIGN_IN_NEEDED"
    message = _("Please sign in first.")
    http_status = 401
