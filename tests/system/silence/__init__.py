"""Faults that are made one by one, each with what must be said of it."""

from tests.system.silence import mail, processes, servers, services, upkeep

# By the names of their tests.
FAULTS = {
    f"{module.__name__.rpartition('.')[2]}: {fault.name}": fault
    for module in (processes, servers, services, mail, upkeep)
    for fault in module.FAULTS
}
