"""Losses, R and the error table against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crystals import complaint
from xrdml.data import keys
from xrdml.data.tensors import Limits
from xrdml.training.error_model import SHELLS, ErrorModel, relative_error
from xrdml.training.losses import check_loss, loss, r_factor
from xrdml.training.network import complete


def row(*values):
    """One crystal on a grid of shape (1, 1, n)."""
    return torch.tensor([[[list(values)]]])


# Positions: measured, measured, to predict, to predict, to predict but unknown, absent, outside.
BATCH = {
    keys.F_TARGET: row(1.0, 0.5, 0.4, 0.1, 0.0, 0.0, 0.0),
    keys.F_INPUT: row(1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0),
    keys.MEASURED: row(True, True, False, False, False, False, False),
    keys.PREDICT: row(False, False, True, True, True, False, False),
    keys.KNOWN: row(True, True, True, True, False, False, False),
    keys.ABSENT: row(False, False, False, False, False, True, False),
}
PREDICTION = row(0.8, 0.5, 0.1, 0.3, 9.0, 9.0, -9.0)


@pytest.mark.parametrize(
    ("name", "region", "expected"),
    [
        ("mse", "extension", (0.3**2 + 0.2**2) / 2),
        ("l1", "extension", (0.3 + 0.2) / 2),
        ("mse", "all", (0.2**2 + 0.3**2 + 0.2**2) / 4),
        ("l1", "all", (0.2 + 0.3 + 0.2) / 4),
    ],
)
def test_loss(name, region, expected):
    assert float(loss(PREDICTION, BATCH, name, region)) == pytest.approx(expected, rel=1e-6)


def test_r_counts_what_was_put_back_in_all_alone():
    completed = complete(PREDICTION, BATCH)
    assert completed.flatten().tolist() == pytest.approx([1, 0.5, 0.1, 0.3, 9, 0, 0])
    assert r_factor(completed, BATCH, "extension").tolist() == pytest.approx([0.5 / 0.5])
    assert r_factor(completed, BATCH, "all").tolist() == pytest.approx([0.5 / 2.0])


def test_masked_positions_have_no_gradient():
    prediction = PREDICTION.clone().requires_grad_()
    loss(prediction, BATCH, "mse", "extension").backward()
    assert prediction.grad.flatten().tolist() == pytest.approx([0, 0, -0.3, 0.2, 0, 0, 0])


def test_nothing_to_predict_is_no_division_by_zero():
    nothing = {**BATCH, keys.PREDICT: torch.zeros_like(BATCH[keys.PREDICT])}
    assert float(loss(PREDICTION, nothing, "mse", "extension")) == 0
    assert r_factor(PREDICTION, nothing, "extension").tolist() == [0]


@pytest.mark.parametrize(
    ("name", "region", "message"), [("mae", "all", "mse, l1"), ("l1", "inner", "extension, all")]
)
def test_unknown_losses(name, region, message):
    assert message in complaint(check_loss, name, region)


def error_batch(predicted, truth, s, centric):
    shape = (1, 1, 1, len(s))
    ones = torch.ones(shape, dtype=torch.bool)
    batch = {
        keys.F_TARGET: torch.tensor(truth).reshape(shape),
        keys.PREDICT: ones,
        keys.KNOWN: ones,
        keys.S: torch.tensor(s).reshape(shape),
        keys.CENTRIC: torch.tensor(centric).reshape(shape),
    }
    return torch.tensor(predicted).reshape(shape), batch


def test_error_table_by_hand():
    """Two crystals in the first shell, one class each of the last: each is on its own scale."""
    model = ErrorModel(Limits(1.5, 0.8))
    assert model.edges[[0, -1]] == pytest.approx([1 / 3, 1 / 1.6])
    assert np.diff(model.edges**3) == pytest.approx(np.diff(model.edges**3)[0])
    inner, outer = 0.34, 0.62
    # Predicted 2 everywhere, wrong by 1: error² = 1/4. Predicted 20, wrong by 20: error² = 1.
    model.update(*error_batch([2.0] * 6, [1.0, 3.0] * 3, [inner] * 6, [False] * 6))
    model.update(*error_batch([20.0] * 6, [0.0, 40.0] * 3, [inner] * 6, [False] * 6))
    model.update(*error_batch([2.0] * 6, [0.0, 4.0] * 3, [outer] * 6, [True] * 6))
    table = model.table()
    mean = np.sqrt((6 * 0.25 + 6 + 6) / 18)
    assert table["acentric"] == pytest.approx([np.sqrt(0.625), *[mean] * (SHELLS - 1)], abs=1e-4)
    assert table["centric"] == pytest.approx([*[mean] * (SHELLS - 1), 1], abs=1e-4)

    s, centric = np.array([0.2, inner, outer, 0.9, outer]), np.array([0, 0, 1, 1, 0], bool)
    expected = [np.sqrt(0.625), np.sqrt(0.625), 1, 1, mean]
    assert relative_error(table, s, centric) == pytest.approx(expected, abs=1e-4)


def test_error_table_ignores_a_shell_predicted_as_nothing():
    model = ErrorModel(Limits(1.5, 0.8))
    model.update(*error_batch([2.0] * 6, [1.0] * 6, [0.34] * 6, [False] * 6))
    model.update(*error_batch([0.0] * 6, [1.0] * 6, [0.34] * 6, [False] * 6))
    assert model.table()["acentric"][0] == pytest.approx(0.5)
