import pytest
from django.test import Client


@pytest.fixture
def probe(settings) -> Client:
    """A visitor of the site with the pages of probe_urls; what breaks is answered as in production,
    not raised.
    """
    settings.ROOT_URLCONF = "tests.maaledu.probe_urls"
    return Client(raise_request_exception=False)
