"""The models' tables of moves are the ones that were decided, and there is no table beside them."""

import pytest
from django.apps import apps

from tests.status_writes import STATUS_FIELDS
from tests.tables import EXCEPTIONS_OF_MODELS, OF_MODELS

pytestmark = pytest.mark.any_engine

Table = dict[str, list[str]]


def declared(kind: str) -> dict[tuple[str, str], dict]:
    """Return every table of this kind that a model of the product has, by the model's label and
    the table's name.
    """
    product = [model for model in apps.get_models() if model._meta.app_label != "dbapp"]
    return {
        (model._meta.label, name): getattr(model, name)
        for model in product
        for name in dir(model)
        if name.endswith(kind)
    }


def pairs(table: Table) -> set[tuple[str, str]]:
    return {(str(before), str(to)) for to, starts in table.items() for before in starts}


def field_of(name: str, kind: str) -> str:
    return name.removesuffix(kind).rstrip("_").lower() or "status"


def test_every_model_moves_as_decided() -> None:
    found = {key: pairs(table) for key, table in declared("TRANSITIONS").items()}
    assert found == OF_MODELS


def test_every_exceptional_move_is_named_and_decided() -> None:
    found = {
        key: {edge: pairs(table) for edge, table in edges.items()}
        for key, edges in declared("EXCEPTIONS").items()
    }
    assert found == EXCEPTIONS_OF_MODELS


def test_no_exception_is_an_ordinary_move() -> None:
    """For `status`, that is: access may be asked for anew in any state of it."""
    for (label, name), edges in EXCEPTIONS_OF_MODELS.items():
        if name == "EXCEPTIONS":
            assert not set().union(*edges.values()) & OF_MODELS[label, "TRANSITIONS"]


def test_every_status_has_its_line() -> None:
    """`transition` looks a status up by name: one that no line names could not be asked for."""
    for (label, name), table in declared("TRANSITIONS").items():
        field = field_of(name, "TRANSITIONS")
        choices = apps.get_model(label)._meta.get_field(field).choices
        assert set(table) == {value for value, _ in choices}, (label, name)


def test_the_rule_on_writes_knows_every_column_with_a_table() -> None:
    fields = {field_of(name, "TRANSITIONS") for _, name in declared("TRANSITIONS")}
    assert fields == STATUS_FIELDS
