"""The roles that ship, as groups with their permissions; docs/roles.md says the same in words.

Nobody but a superuser makes staff, gives roles, or takes a second factor away.
"""

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

SUPPORT, GRANTS, FINANCE = "support", "grants", "finance"
CONTENT, OPERATOR, AUDITOR = "content", "operator", "auditor"

LEARNERS = (
    "account.view_emailaddress",
    "accounts.view_user",
    "courses.view_course",
    "enrollments.view_accessdifference",
    "enrollments.view_batchrow",
    "enrollments.view_enrollment",
    "enrollments.view_enrollmentbatch",
    "enrollments.view_enrollmentevent",
    "notifications.view_email",
    "notifications.view_undeliverableaddress",
    "payments.view_dispute",
    "payments.view_payment",
    "payments.view_refund",
)
DELIVERY = (
    "lms_sync.view_deadletter",
    "lms_sync.view_platformstate",
    "lms_sync.view_syncattempt",
    "lms_sync.view_syncjob",
    "notifications.view_mailstate",
)
GRANT_LISTS = ("grants.view_grant", "grants.view_program", "grants.view_refusal")
MONEY = (
    "affiliates.view_affiliate",
    "affiliates.view_balance",
    "affiliates.view_commission",
    "affiliates.view_fraudsignal",
    "affiliates.view_ledgerentry",
    "affiliates.view_payout",
    "affiliates.view_payoutbatch",
    "payments.view_dispute",
    "payments.view_earlyfraudwarning",
    "payments.view_payment",
    "payments.view_reconciliation",
    "payments.view_refund",
)
ROLES: dict[str, tuple[str, ...]] = {
    SUPPORT: (
        *LEARNERS,
        *DELIVERY,
        *GRANT_LISTS,
        "accounts.add_learnernote",
        "accounts.change_user",
        "accounts.view_learnernote",
        "enrollments.comp_enrollment",
        "enrollments.move_enrollment",
        "enrollments.repair_accessdifference",
        "enrollments.repair_enrollment",
        "lms_sync.replay_deadletter",
        "lms_sync.replay_syncjob",
        "notifications.release_undeliverableaddress",
        "notifications.replay_email",
        "payments.decide_refundrequest",
        "payments.refund_payment",
        "payments.view_refundrequest",
    ),
    GRANTS: (
        *GRANT_LISTS,
        "courses.view_course",
        "enrollments.view_enrollment",
        "grants.add_messagetemplate",
        "grants.add_program",
        "grants.change_messagetemplate",
        "grants.change_program",
        "grants.decide_grant",
        "grants.delete_messagetemplate",
        "grants.export_grant",
        "grants.view_messagetemplate",
    ),
    FINANCE: (
        *MONEY,
        "courses.view_course",
        "enrollments.view_enrollment",
        "grants.view_grant",
        "grants.view_program",
        "affiliates.adjust_affiliate",
        "affiliates.draft_payoutbatch",
        "affiliates.export_payoutbatch",
        "affiliates.release_payoutbatch",
        "affiliates.review_affiliate",
        "affiliates.review_commission",
        "affiliates.review_fraudsignal",
        "affiliates.settle_payoutbatch",
        "legacy.decide_importproposal",
        "legacy.view_importedrow",
        "legacy.view_importproposal",
        "legacy.view_importrun",
        "payments.close_earlyfraudwarning",
        "payments.decide_dispute",
        "payments.decide_refundrequest",
        "payments.refund_payment",
        "payments.view_refundrequest",
    ),
    CONTENT: (
        "courses.add_course",
        "courses.add_instructorprofile",
        "courses.change_course",
        "courses.change_instructorprofile",
        "courses.delete_course",
        "courses.delete_instructorprofile",
        "courses.publish_course",
        "courses.view_course",
        "courses.view_instructorprofile",
    ),
    OPERATOR: (
        *LEARNERS,
        *DELIVERY,
        "accounts.add_apikey",
        "accounts.revoke_apikey",
        "accounts.view_apikey",
        "accounts.add_learnernote",
        "accounts.view_learnernote",
        "accounts.view_auditentry",
        "enrollments.enroll_enrollmentbatch",
        "enrollments.move_enrollment",
        "enrollments.repair_accessdifference",
        "enrollments.repair_enrollment",
        "enrollments.replay_batchrow",
        "enrollments.view_accesscomparison",
        "lms_sync.dismiss_deadletter",
        "lms_sync.probe_platformstate",
        "lms_sync.replay_deadletter",
        "lms_sync.replay_syncjob",
        "notifications.release_undeliverableaddress",
        "notifications.replay_alertnotice",
        "notifications.replay_email",
        "notifications.try_mailstate",
        "notifications.view_alert",
        "notifications.view_alertnotice",
        "payments.check_webhookproblem",
        "payments.replay_stripeevent",
        "payments.view_reconciliation",
        "payments.view_stripeevent",
        "payments.view_webhookproblem",
    ),
    AUDITOR: (),  # what may be looked at at all
}


def install() -> None:
    """Make the groups, and give each what is missing; what was given besides stays.

    Safe to repeat, on every engine: a migration calls it, for which the permissions of all tables
    are made first.
    """
    for config in apps.get_app_configs():
        create_permissions(config, verbosity=0)
    # In no order: sorted by the joined table, MongoDB's answer would lack it.
    found = Permission.objects.select_related("content_type").order_by()
    known = {f"{each.content_type.app_label}.{each.codename}": each for each in found}
    views = [label for label in known if label.partition(".")[2].startswith("view_")]
    for name, wanted in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.add(*(known[label] for label in wanted or views))
