"""What Prometheus reads, and how well the cache does."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import override
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from maaledu import metrics
from maaledu.http import only_read
from maaledu.language import OFFICE
from maaledu.money import percent
from operations.errors import MonitorRefused
from operations.figures import Figures
from operations.monitors import may_see_details

HITS = "maaledu_request_seconds_count"


@only_read
def show(request: HttpRequest) -> HttpResponse:
    """Return what this machine's processes counted, and what the database says (R192)."""
    _refuse_strangers(request)
    figures = CollectorRegistry()
    figures.register(Figures())
    body = generate_latest(metrics.registry()) + generate_latest(figures)
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


@only_read
def cache_stats(request: HttpRequest) -> JsonResponse:
    """Return hits, misses and the hit rate of the cached public pages (requirement R157)."""
    _refuse_strangers(request)
    hits = misses = 0
    for family in metrics.registry().collect():
        for sample in family.samples:
            if sample.name == "maaledu_cache_misses_total":
                misses += int(sample.value)
            if sample.name == HITS and sample.labels["endpoint"] == metrics.CACHED:
                hits += int(sample.value)
    with override(OFFICE):  # programs read it
        rate = percent(hits, hits + misses)
    body = {"hits": hits, "misses": misses, "hitRate": rate}
    return JsonResponse({**body, "timestamp": timezone.now().isoformat()})


def _refuse_strangers(request: HttpRequest) -> None:
    if not may_see_details(request):
        raise MonitorRefused
