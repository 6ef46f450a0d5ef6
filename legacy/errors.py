from maaledu.errors import AppError


class SourceUnreadable(AppError):
    """Nothing was read or written: the message names the file and line, or what to set."""

    code = "LEGACY_SOURCE_UNREADABLE"
    message = "The old data could not be read."
    http_status = 400


class InvalidAnswers(AppError):
    """The file of decisions or of names has something in it that cannot be followed."""

    code = "LEGACY_ANSWERS_INVALID"
    message = "The file of decisions could not be followed."
    http_status = 400


class ImportRefused(AppError):
    """The import cannot be carried out or taken back as things are."""

    code = "LEGACY_IMPORT_REFUSED"
    message = "That is not possible as things are."
    http_status = 409


class ProposalDecided(AppError):
    code = "LEGACY_PROPOSAL_DECIDED"
    message = "This proposal was decided before."
    http_status = 409


class ProposalWithoutAffiliate(AppError):
    code = "LEGACY_PROPOSAL_WITHOUT_AFFILIATE"
    message = "The old shop named an affiliate that is not known here: nobody can be paid."
    http_status = 409
