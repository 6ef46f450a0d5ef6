"""How pages write moments where a template does not say otherwise, above all in the office: with
year, hour and zone.
"""

DATE_FORMAT = SHORT_DATE_FORMAT = "M j, Y"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "M j, Y, H:i e"
