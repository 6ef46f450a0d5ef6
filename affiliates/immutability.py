"""The ledger's triggers; where there are none (MongoDB) `verify_invariants` detects a change."""

from maaledu.insert_only import InsertOnly

LEDGER = InsertOnly(
    "affiliates_ledgerentry",
    "ledger entries are never changed or deleted",
    keys=("id", "source_key"),
)
