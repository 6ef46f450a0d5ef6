"""Faults of the shop's own processes: they have ended, and nobody starts them."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.system.silence.ears import LIVE
from tests.system.silence.fault import Fault
from tests.system.silence.stage import ManyMachines, Stage


@contextmanager
def worker_dead(stage: Stage) -> Iterator[None]:
    stage.worker.kill()
    yield
    stage.start_worker()
    stage.wait_worker()


@contextmanager
def beat_dead(stage: ManyMachines) -> Iterator[None]:
    stage.beat.kill()
    yield
    stage.start_beat()


@contextmanager
def cron_line_missing(stage: Stage) -> Iterator[None]:
    stage.worker.kill()
    stage.is_run_by_cron = True
    for _ in range(3):
        stage.minute()
    stage.is_run_by_cron = False
    yield
    stage.is_run_by_cron = True


@contextmanager
def web_dead(stage: Stage) -> Iterator[None]:
    stage.web.kill()
    yield
    stage.restart_web()


FAULTS = [
    Fault(
        "the embedded worker has ended",
        worker_dead,
        alert="Now red: the worker is silent",
        ends="Recovered: the worker is silent",
    ),
    Fault(
        "the Celery workers have ended",
        worker_dead,
        alert="Now red: the worker is silent",
        ends="Recovered: the worker is silent",
        stage=ManyMachines,
    ),
    Fault(
        "Celery beat has ended",
        beat_dead,
        alert="Now red: the scheduler is silent",
        ends="Recovered: the scheduler is silent",
        stage=ManyMachines,
    ),
    Fault(
        "the cron line of `run_due_work` is gone",
        cron_line_missing,
        alert="Now red: the scheduler is silent",
        ends="Recovered: the scheduler is silent",
    ),
    Fault("the web processes have ended", web_dead, address=LIVE, answer="no answer", ends="200"),
]
