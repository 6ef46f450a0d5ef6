"""The models' tables of moves are the ones that were decided, and there is no table beside them."""

from django.apps import apps

from tests.tables import OF_MODELS


def declared() -> dict[tuple[str, str], dict[str, list[str]]]:
    """Return every table of moves that a model of the product has, by the model's label and the
    table's name.
    """
    product = [model for model in apps.get_models() if model._meta.app_label != "dbapp"]
    return {
        (model._meta.label, name): getattr(model, name)
        for model in product
        for name in dir(model)
        if name.endswith("TRANSITIONS")
    }


def test_every_model_moves_as_decided() -> None:
    found = {
        key: {(str(before), str(to)) for to, starts in table.items() for before in starts}
        for key, table in declared().items()
    }
    assert found == OF_MODELS


def test_every_status_has_its_line() -> None:
    """`transition` looks a status up by name: one that no line names could not be asked for."""
    for (label, name), table in declared().items():
        field = "status" if name == "TRANSITIONS" else name.removesuffix("_TRANSITIONS").lower()
        assert set(table) == {
            value for value, _ in apps.get_model(label)._meta.get_field(field).choices
        }, (label, name)
