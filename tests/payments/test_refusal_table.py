"""The table of Stripe's refusals knows every code of the SDK, in a row of its own or by default."""

from typing import Any, get_args

import pytest
import stripe

from payments import refusal_table
from payments.refusal_table import (
    CLOCK,
    FOR_BUYER,
    KEY_LIMITED,
    KEY_REFUSED,
    REFUND_REFUSED,
    REFUND_ROWS,
    REQUEST,
    ROWS,
    UNEXPECTED,
    Row,
    row_of,
)
from payments.refusals import read

pytestmark = pytest.mark.any_engine

# Codes of requests that we do not make: cards typed at our page, payouts, terminals, subscriptions,
# connected accounts. Should one come all the same, it is named as unexpected, and alerts.
CODES_LEFT = """
    account_closed account_country_invalid_address
    account_error_country_change_requires_additional_steps account_information_mismatch
    account_number_invalid account_token_required_for_v2_account acss_debit_session_incomplete
    alipay_upgrade_required anomalous_money_movement_request application_fees_not_allowed
    authentication_failure authentication_required balance_invalid_parameter
    bank_account_bad_routing_numbers bank_account_declined bank_account_exists
    bank_account_restricted bank_account_unusable bank_account_unverified
    bank_account_verification_failed billing_invalid_mandate bitcoin_upgrade_required
    capture_charge_authorization_expired capture_unauthorized_payment
    card_decline_rate_limit_exceeded card_declined cardholder_phone_number_required
    charge_already_captured charge_expired_for_capture clearing_code_unsupported
    country_code_invalid country_unsupported coupon_expired customer_max_payment_methods
    customer_max_subscriptions customer_session_expired debit_not_authorized
    dispute_evidence_page_limit_exceeded expired_card expired_payment_method
    financial_account_balance_does_not_support_currency financial_account_capability_not_enabled
    financial_account_capability_restricted financial_connections_account_inactive
    financial_connections_account_pending_account_numbers
    financial_connections_account_unavailable_account_numbers
    financial_connections_consent_locale_invalid
    financial_connections_consent_locale_unsupported
    financial_connections_no_successful_transaction_refresh forwarding_api_inactive
    forwarding_api_invalid_parameter forwarding_api_retryable_upstream_error
    forwarding_api_upstream_connection_error forwarding_api_upstream_connection_timeout
    forwarding_api_upstream_error incorrect_address incorrect_cvc incorrect_number
    incorrect_postal_code incorrect_zip india_recurring_payment_mandate_canceled
    instant_payouts_config_disabled instant_payouts_currency_disabled
    instant_payouts_limit_exceeded instant_payouts_unsupported
    intent_verification_method_missing invalid_canceled_subscription_fields invalid_card_type
    invalid_cvc invalid_expiry_month invalid_expiry_year invalid_mandate_reference_prefix_format
    invalid_number invalid_source_usage invoice_no_customer_line_items
    invoice_no_subscription_line_items invoice_not_editable invoice_on_behalf_of_not_editable
    invoice_payment_intent_requires_action invoice_upcoming_none missing no_account
    not_allowed_on_standard_account out_of_inventory ownership_declaration_not_allowed
    payment_evaluation_on_api_version_not_supported payment_intent_action_required
    payment_intent_authentication_failure payment_intent_incompatible_payment_method
    payment_intent_konbini_rejected_confirmation_number payment_intent_mandate_invalid
    payment_intent_payment_attempt_expired payment_intent_payment_attempt_failed
    payment_method_bank_account_already_verified payment_method_bank_account_blocked
    payment_method_billing_details_address_missing payment_method_customer_decline
    payment_method_invalid_parameter_testmode payment_method_microdeposit_failed
    payment_method_microdeposit_processing_error
    payment_method_microdeposit_verification_amounts_invalid
    payment_method_microdeposit_verification_amounts_mismatch
    payment_method_microdeposit_verification_attempts_exceeded
    payment_method_microdeposit_verification_descriptor_code_mismatch
    payment_method_microdeposit_verification_timeout payment_method_provider_decline
    payment_method_unexpected_state payout_reconciliation_not_ready payouts_limit_exceeded
    payouts_not_allowed platform_account_required postal_code_invalid product_inactive
    progressive_onboarding_limit_exceeded refer_to_customer resource_already_exists
    return_intent_already_processed routing_number_invalid sepa_unsupported_account
    service_period_coupon_with_metered_tiered_item_unsupported setup_attempt_failed
    setup_intent_authentication_failure setup_intent_invalid_parameter
    setup_intent_mandate_invalid setup_intent_mobile_wallet_unsupported
    setup_intent_setup_attempt_expired setup_intent_unexpected_state shipping_address_invalid
    shipping_calculation_failed siret_invalid sku_inactive smart_disputes_not_available
    state_unsupported storer_capability_missing storer_capability_not_active
    subscription_update_trial_after_billing_cycle_anchor tax_id_invalid tax_id_prohibited
    terminal_location_country_unsupported terminal_reader_busy terminal_reader_hardware_fault
    terminal_reader_invalid_location_for_activation terminal_reader_invalid_location_for_payment
    terminal_reader_offline terminal_reader_timeout three_d_secure_authentication_not_supported
    three_d_secure_authentication_upstream_error token_already_used token_card_network_invalid
    token_in_use transfer_source_balance_parameters_mismatch transfers_not_allowed
"""
LEFT_TO_DEFAULT = set(CODES_LEFT.split())


def codes_of_the_sdk(annotation: Any) -> set[str]:
    """Return the texts in a type such as Optional[Union[Literal["a", "b"], str]]."""
    parts = get_args(annotation)
    return {part for part in parts if isinstance(part, str)}.union(*map(codes_of_the_sdk, parts))


def test_every_code_of_the_sdk_has_its_row_or_is_left_to_the_default():
    sdk = codes_of_the_sdk(stripe.PaymentIntent.LastPaymentError.__annotations__["code"])
    assert len(sdk) > 200
    assert sdk - set(ROWS) - set(REFUND_ROWS) == LEFT_TO_DEFAULT
    assert (set(ROWS) | set(REFUND_ROWS)) - sdk == {"parameter_invalid_string_too_long"}
    assert {row_of(code) for code in LEFT_TO_DEFAULT} == {UNEXPECTED}
    assert {row_of(code, is_refund=True) for code in LEFT_TO_DEFAULT} == {REFUND_REFUSED}


def test_every_row_says_something_to_staff_and_whose_fault_it_is():
    every = [row for row in vars(refusal_table).values() if isinstance(row, Row)]
    every += [*ROWS.values(), *REFUND_ROWS.values()]
    assert {row.fault for row in every} == {"buyer", "our set-up", "passing", "payment"}
    assert [row for row in every if len(row.words) < 20 or not row.words.endswith(".")] == []
    assert {row.fault for row in every if row.alerts} == {"our set-up"}
    assert set(FOR_BUYER) == {"buyer", "our set-up", "passing"}
    assert {row.fault for row in ROWS.values()} == set(FOR_BUYER)


@pytest.mark.parametrize(
    ("code", "param", "status", "fault"),
    [
        ("email_invalid", "", 400, "buyer"),
        ("email_invalid", "payment_intent_data[receipt_email]", 400, "buyer"),
        ("", "customer_email", 400, "buyer"),
        ("", "payment_intent_data[receipt_email]", 400, "buyer"),
        ("parameter_invalid_string_empty", "customer_email", 400, "buyer"),
        ("a_code_of_next_year", "customer_email", 400, "buyer"),
        ("parameter_unknown", "customer_email", 400, "our set-up"),
        ("parameters_exclusive", "customer_email", 400, "our set-up"),
        ("", "customer_email", 403, "our set-up"),
        ("", "line_items[0][price_data][product_data][name]", 400, "our set-up"),
        ("", "customer_email_domain", 400, "our set-up"),
    ],
)
def test_only_the_buyers_own_address_is_the_buyers_fault(code, param, status, fault):
    assert row_of(code, param, status=status).fault == fault


@pytest.mark.parametrize(
    ("code", "status", "row"),
    [
        ("", 400, CLOCK),
        ("parameter_invalid_integer", 400, CLOCK),
        ("parameter_unknown", 400, REQUEST),
        ("", 403, KEY_LIMITED),
    ],
)
def test_a_session_end_that_is_refused_is_a_wrong_clock_of_ours(code, status, row):
    """Ours is written from our clock, and Stripe's by its own: 30 minutes to 24 hours ahead."""
    assert row_of(code, "expires_at", status=status) is row


@pytest.mark.parametrize(
    ("code", "status", "is_refund", "row"),
    [
        ("", 401, False, KEY_REFUSED),
        ("", 403, False, KEY_LIMITED),
        ("", 401, True, KEY_REFUSED),
        ("", 403, True, KEY_LIMITED),
        ("", 400, False, UNEXPECTED),
        ("", 400, True, REFUND_REFUSED),
        ("a_code_of_next_year", 402, False, UNEXPECTED),
        ("a_code_of_next_year", 402, True, REFUND_REFUSED),
        ("charge_disputed", 400, False, UNEXPECTED),
    ],
)
def test_what_no_row_names_has_the_default_of_its_kind(code, status, is_refund, row):
    assert row_of(code, status=status, is_refund=is_refund) is row


@pytest.mark.parametrize("value", [None, 7, [], {"a": 1}, "\0", "\ud800", " \n "])
def test_an_error_object_with_nonsense_in_it_is_read_all_the_same(value):
    error = {"code": value, "param": value, "message": value}
    refusal = read(error, status=400, request_id="req_1")
    assert refusal.row is UNEXPECTED
    assert all(is_text(text) for text in (refusal.code, refusal.param, refusal.sentence))
    assert str(refusal).startswith(UNEXPECTED.words)


def is_text(value: object) -> bool:
    return isinstance(value, str) and value in ("", "\N{REPLACEMENT CHARACTER}")


def test_stripes_sentence_is_cut_and_kept_in_one_line():
    refusal = read({"message": "No.\r\nBcc: x\n" + "x" * 1000}, status=400, request_id="")
    assert len(refusal.sentence) == 300
    assert refusal.sentence.startswith("No. Bcc: x xxx")
    assert refusal.sentence.endswith("x…")


def test_sentences_without_a_code_are_one_cause_however_ids_and_amounts_in_them_differ():
    def cause(sentence: str) -> str:
        return read({"message": sentence}, status=403, request_id="").cause

    needs = "The key '{}' may not do this on '{}'. Having the 'rak_{}' permission would allow it."
    assert cause(needs.format("rk_1", "acct_1", "refund_write")) == cause(
        needs.format("rk_2", "acct_2", "refund_write")
    )
    assert cause(needs.format("rk_1", "acct_1", "refund_write")) != cause(
        needs.format("rk_1", "acct_1", "dispute_read")
    )
    assert cause("No such session cs_1 of ada@example.com.") == cause(
        "No such session cs_2 of bob@example.com."
    )
    assert cause("Set a business name.") != cause("No payment method.")
