from affiliates.models.affiliate import Affiliate
from affiliates.models.fraud import FraudSignal
from affiliates.models.ledger import Balance, Commission, LedgerEntry
from affiliates.models.payout import Payout, PayoutBatch, PayoutItem
from affiliates.models.referral import ReferralDay, ReferralLabelDay, ReferralVisit

__all__ = [
    "Affiliate",
    "Balance",
    "Commission",
    "FraudSignal",
    "LedgerEntry",
    "Payout",
    "PayoutBatch",
    "PayoutItem",
    "ReferralDay",
    "ReferralLabelDay",
    "ReferralVisit",
]
