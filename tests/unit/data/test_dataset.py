"""The split, the crystals that do not fit, and the order of training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crystals import MONOCLINIC, complaint, random_structure
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.labels import Labels
from xrdml.crystal.store import write_store
from xrdml.data import keys
from xrdml.data.datamodule import CrystalDataModule
from xrdml.data.dataset import fitting, split
from xrdml.data.sampler import ResumableShuffle
from xrdml.errors import UserError

LONG = (7.7, 8.7, 30.0, 90.0, 103.0, 90.0)
CONFIG = {
    **{"val_path": None, "test_path": None, "val_fraction": 0.2, "test_fraction": 0.2},
    **{"d_min_low": 1.5, "d_min_high": 0.8, "grid": "-13:12,0:17,0:22", "batch_size": 4, "workers": 0},
    **{"laue_group": None, "library": None, "library_workers": 1, "measurement": {}},
}


@given(st.integers(0, 400), st.integers(1, 300), st.floats(0, 0.4), st.floats(0, 0.4))
def test_split_is_complete_and_stays_when_the_file_grows(n, more, val, test):
    before, after = split(n, val, test), split(n + more, val, test)
    assert sorted(np.concatenate(list(before.values())).tolist()) == list(range(n))
    for part, indices in before.items():
        np.testing.assert_array_equal(after[part][after[part] < n], indices)


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_split_keeps_the_fractions_in_any_periodic_choice(step):
    parts = split(10_000, 0.1, 0.05)
    for part, fraction in (("train", 0.85), ("val", 0.1), ("test", 0.05)):
        chosen = (parts[part] % step == 0).sum()
        assert chosen == pytest.approx(fraction * 10_000 / step, abs=5)


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0.1), (0.5, 0.5), (0.2, 0.9)])
def test_impossible_fractions(val, test):
    assert "data.val_fraction" in complaint(split, 10, val, test)


def test_split_keeps_families_together():
    """As `read_structures` does: what one command tests on, no other trains on."""
    rng = np.random.default_rng(0)
    families = rng.integers(0, 2**31, 400)[rng.integers(0, 400, 3000)]
    held_out = np.isin(families, families[:20])
    labels = Labels([""] * 3000, families, held_out)
    parts = split(3000, 0.1, 0.3, labels)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(3000))
    found = {part: set(families[indices].tolist()) for part, indices in parts.items()}
    assert len(found["train"] | found["val"] | found["test"]) == sum(map(len, found.values()))
    np.testing.assert_array_equal(parts["test"], np.flatnonzero(labels.is_test))
    assert len(parts["val"]) / 3000 == pytest.approx(0.08, abs=0.03)


def test_what_does_not_fit():
    crystals = [
        random_structure(),
        random_structure(cell=LONG),
        random_structure("P -1", (9, 9, 9, 80, 80, 80)),
    ]
    assert fitting(crystals, HklGrid.thesis(), 0.8).tolist() == [True, False, False]
    assert fitting(crystals, HklGrid.thesis(), 2.0).tolist() == [True, True, False]
    assert "none of 1 crystals fits" in complaint(fitting, crystals[1:2], HklGrid.thesis(), 0.8)


@pytest.mark.parametrize(("size", "batch_size", "world"), [(10, 3, 1), (10, 3, 2), (7, 2, 4), (8, 4, 2)])
def test_order_goes_on_where_it_stopped(size, batch_size, world):
    def epochs(start: int, rank: int) -> list[list[int]]:
        sampler = ResumableShuffle(size, batch_size, seed=3, seen=lambda: start, rank=rank, world=world)
        batches = -(-len(sampler) // batch_size)
        orders = []
        for epoch in range(start // batches, 3):
            sampler.set_epoch(epoch)
            orders.append(list(sampler))
        return orders

    per_epoch = math.ceil(math.ceil(size / world) / batch_size)
    whole = [epochs(0, rank) for rank in range(world)]
    for epoch in range(3):
        assert set().union(*(set(orders[epoch]) for orders in whole)) == set(range(size))
        assert len({len(orders[epoch]) for orders in whole}) == 1
    assert whole[0][0] != whole[0][1]
    for start in range(3 * per_epoch):
        flat = [i for order in whole[0][start // per_epoch :] for i in order]
        rest = [i for order in epochs(start, 0) for i in order]
        assert rest == flat[(start % per_epoch) * batch_size :]


def test_datamodule(tmp_path, caplog):
    crystals = [random_structure(cell=LONG if i % 10 == 9 else MONOCLINIC, n=5, seed=i) for i in range(40)]
    write_store(tmp_path / "a.h5", crystals, {"recipe": "test"})
    data = CrystalDataModule({**CONFIG, "path": str(tmp_path / "a.h5")}, seed=1)
    data.setup()
    assert "4 of 40 crystals left out, too large for data.grid=-13:12,0:17,0:22" in caplog.text
    sizes = {part: len(d) for part, d in data.parts.items()}
    assert sum(sizes.values()) == 36
    assert sizes["val"] == pytest.approx(7.2, abs=2)
    assert data.space_groups() == {"P 1 21 1": sizes["train"]}
    seen = [data.tensors(crystals) for crystals in data.val_dataloader()]
    assert sum(len(batch[keys.CELL]) for batch in seen) == sizes["val"]
    assert seen[0][keys.F_INPUT].shape == (4, 26, 18, 23)


def test_separate_files(tmp_path):
    for name, n in (("a", 12), ("b", 5)):
        write_store(tmp_path / f"{name}.h5", [random_structure(n=5, seed=i) for i in range(n)], {})
    paths = {"path": str(tmp_path / "a.h5"), "val_path": str(tmp_path / "b.h5")}
    data = CrystalDataModule({**CONFIG, **paths, "test_fraction": 0.0}, seed=1)
    data.setup()
    assert {part: len(d) for part, d in data.parts.items()} == {"train": 12, "val": 5, "test": 0}


def test_too_few_crystals(tmp_path):
    write_store(tmp_path / "a.h5", [random_structure(n=5)], {})
    data = CrystalDataModule({**CONFIG, "path": str(tmp_path / "a.h5")}, seed=1)
    assert "no crystal is left for train" in complaint(data.setup)


def test_effects_of_measurement_reach_the_tensors_and_repeat(tmp_path):
    write_store(tmp_path / "a.h5", [random_structure(n=5, seed=i) for i in range(30)], {})
    config = {**CONFIG, "path": str(tmp_path / "a.h5")}
    effects = {"noise": 1.0, "wedge": 60.0, "scale": 0.2, "extinction": 0.05, "anomalous": True}

    def batches(seed: int, measurement: dict) -> list[dict]:
        data = CrystalDataModule({**config, "measurement": measurement}, seed)
        data.setup()
        return [data.tensors(crystals) for crystals in data.val_dataloader()]

    clean, one, same, other = (batches(s, m) for s, m in ((1, {}), (1, effects), (1, effects), (2, effects)))
    for a, b, c, d in zip(clean, one, same, other, strict=True):
        for key, value in b.items():
            assert torch.equal(value, c[key]) if isinstance(value, torch.Tensor) else value == c[key]
        assert all(torch.isfinite(v).all() for v in b.values() if isinstance(v, torch.Tensor))
        assert not torch.equal(b[keys.F_INPUT], d[keys.F_INPUT])
        # What the wedge took is to be predicted; the truth is that of the atoms, on another scale.
        assert (b[keys.MEASURED] & ~a[keys.MEASURED]).sum() == 0
        assert b[keys.MEASURED].sum() < a[keys.MEASURED].sum()
        assert torch.equal(b[keys.MEASURED] | b[keys.PREDICT], a[keys.KNOWN])
        assert (b[keys.F_INPUT][~b[keys.MEASURED]] == 0).all()
        truth = (batch[keys.F_TARGET] * batch[keys.F_SCALE][:, None, None, None] for batch in (a, b))
        torch.testing.assert_close(*truth, rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError, match=r"data\.measurement\.noise=-1"):
        CrystalDataModule({**config, "measurement": {"noise": -1.0}}, 1)
