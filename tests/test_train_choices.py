"""What the page Train lets one choose: every setting that matters, and what a run of it would be."""

from __future__ import annotations

import pytest

import lflow
from lflow.ui.train import keys
from tests.statistics import one_thread  # noqa: F401  (for every test here)
from tests.test_train_page import folder, opened  # noqa: F401  (folder: a fixture)

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("model", lflow.models.names())
def test_every_setting_of_every_model_has_a_control(model: str) -> None:
    app = opened(model=model)
    assert not app.error
    chosen = keys.preset(model)
    fields = keys.fields(model, chosen.default if chosen else "")
    kinds = (app.number_input, app.selectbox, app.toggle, app.text_input)
    drawn = {each.key for kind in kinds for each in kind}
    source = keys.source(model, chosen.default if chosen else "").default
    begun = [(field, field.parameter.default) for field in fields]
    apply = [field for field in fields if keys.apply_to(source, field)]
    wanted = {field for field in apply if keys.has_effect(field, begun)}
    assert {f"train_{field.parameter.name}" for field in wanted} <= drawn
    assert not {f"train_{field.parameter.name}" for field in set(apply) - wanted} & drawn
    assert 3 <= sum(field.in_view for field in fields) <= 5


def test_what_has_no_effect_is_not_shown() -> None:
    def labels(**settings: str) -> list[str]:
        return [each.label for each in opened(model="vae", **settings).number_input]

    assert {"Sigma", "Draws k"}.isdisjoint(labels())
    assert "Sigma" in labels(vae_digits_model_likelihood="gaussian")
    assert "Draws k" in labels(vae_digits_model_objective="iwae")


def test_what_does_not_go_together_is_told_before_it_starts() -> None:
    app = opened(model="vae", vae_digits_data="rings")
    assert "choose another likelihood" in app.error[0].value
    assert app.button(key="train-start").disabled
    app = opened(model="vae", vae_digits_data="rings", vae_digits_model_likelihood="gaussian")
    assert not app.error
    assert not app.button(key="train-start").disabled


def test_a_model_remarks_on_what_is_chosen() -> None:
    (warning,) = opened(model="lae", lae_digits_model_features="20").warning
    assert "20 features for batches of 100" in warning.value
    assert not opened(model="lae").warning
