"""What a list says where it has no rows at all: what would be here, and where it comes from."""

WHEN_EMPTY = {
    "account.emailaddress": "The addresses of people who have made an account are here.",
    "accounts.apikey": (
        "A program that talks to the shop needs a key: it is shown once, when it is made."
    ),
    "accounts.auditentry": "Each sign-in, change, decision and download of staff is written here.",
    "accounts.learnernote": "Notes are written on a learner's page, and are for colleagues only.",
    "accounts.user": "People are here once they have made an account; nobody needs one to buy.",
    "affiliates.affiliate": "Whoever joins the affiliate program is here, and waits for approval.",
    "affiliates.balance": "An affiliate has a balance from the first commission on.",
    "affiliates.commission": "A sale through an affiliate's link makes a commission.",
    "affiliates.fraudsignal": (
        "Nothing looks odd. Each night sales are looked through for signs of fraud."
    ),
    "affiliates.ledgerentry": "Each commission, reversal, adjustment and payout is an entry here.",
    "affiliates.payout": "Payouts are drafted for all affiliates at once, under “Payout runs”.",
    "affiliates.payoutbatch": (
        "“Draft payouts” begins a run with all who are payable; a colleague releases it."
    ),
    "auth.group": "The roles that ship are made by `manage.py migrate`.",
    "courses.course": "Add a course; it stays a draft until it is published.",
    "courses.instructorprofile": "Add those who teach, with a portrait; courses name them.",
    "enrollments.accesscomparison": "Access is compared with each LMS every night.",
    "enrollments.accessdifference": (
        "The LMS agrees with what was paid for. It is compared every night."
    ),
    "enrollments.batchrow": (
        "The rows of lists that were enrolled at once are here, each with its result."
    ),
    "enrollments.enrollment": "A checkout makes an enrollment; “Enroll for free” gives one away.",
    "enrollments.enrollmentbatch": (
        "“Enroll many” takes a list of addresses as a file, and shows it before it begins."
    ),
    "enrollments.enrollmentevent": (
        "Each change of an enrollment is written here: from what, to what, by whom."
    ),
    "grants.grant": "Applications arrive by the grant page of a course.",
    "grants.messagetemplate": "A text that answers many applications is written once, here.",
    "grants.program": "A program is a budget from which grants are paid. Add one, and announce it.",
    "grants.refusal": "Codes that were tried and refused are here, so that guessing is seen.",
    "legacy.importedrow": "The old platform's rows are here after `manage.py import_legacy`.",
    "legacy.importproposal": "What an import cannot decide by itself waits here.",
    "legacy.importrun": "Each run of `manage.py import_legacy` is here with its report.",
    "lms_sync.deadletter": "Every learner who paid got access: nothing was refused for good.",
    "lms_sync.platformstate": "A platform is here after the first call to it.",
    "lms_sync.syncattempt": "Each call to an LMS is here with what was asked and answered.",
    "lms_sync.syncjob": "A paid enrollment makes a job, which gives access in the LMS.",
    "notifications.alert": "Nothing has gone wrong. What staff are alerted of is here.",
    "notifications.alertnotice": "Alerts that went to Slack or a webhook are here.",
    "notifications.email": "Each e-mail of the shop is here, sent or not.",
    "notifications.mailstate": "The mail server is here after the first e-mail.",
    "notifications.undeliverableaddress": "No address has sent our e-mails back.",
    "payments.dispute": "No bank has taken back a payment.",
    "payments.earlyfraudwarning": "No card's issuer has warned of fraud.",
    "payments.payment": "A checkout makes a payment; it is paid once Stripe says so.",
    "payments.reconciliation": "Payments are compared with Stripe every night.",
    "payments.refund": "Refunds are made on a learner's page, or in Stripe.",
    "payments.refundrequest": "Learners ask for their money back on their own pages.",
    "payments.stripeevent": (
        "What Stripe reports is here. Where nothing arrives, “Check Stripe” says why."
    ),
    "payments.webhookproblem": "Everything that Stripe sent could be read.",
}
