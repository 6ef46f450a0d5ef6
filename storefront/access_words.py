"""What a learner reads whose access waits for something that our team has to do."""

from django.utils.translation import gettext_noop as _

# By the state of the status page: its headline, and what it says of the `email` of the enrollment.
WITH_STAFF = {
    "attention": (
        _("We are looking into your enrollment"),
        _(
            "Your enrollment is safe, but the learning platform did not accept it. Our team knows"
            " about it and will write to you."
        ),
    ),
    "lost": (
        _("The learning platform does not show your course any more"),
        _(
            "Your enrollment is safe with us, but {email} is not enrolled on the learning platform"
            " any more. Our team knows about it. As soon as you have access again, this page says"
            " so."
        ),
    ),
    "account_off": (
        _("Your account on the learning platform is switched off"),
        _(
            "Your enrollment is safe. The learning platform has an account for {email}, but nobody"
            " can sign in with it at the moment. Our team knows about it. As soon as the account is"
            " switched on, your course is set up by itself, and we e-mail you."
        ),
    ),
}
