"""Effects of a measurement against cctbx, formulae by hand, statistics, and what real data show."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crystals import MONOCLINIC, complaint, random_structure
from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.load import load_measurement
from xrdml.crystal.reflections import merge
from xrdml.crystal.symmetry import symmetry
from xrdml.physics import measurement
from xrdml.physics.measurement import (
    MeasurementOptions,
    anomalous_factors,
    extinction,
    measure,
    outside_wedge,
    random_frame,
    scattering_tables,
    sigma,
)
from xrdml.physics.structure_factors import collate, s_squared, structure_factors

COPPER, MOLYBDENUM = 1.54184, 0.71073
TRICLINIC = (7.1, 8.3, 9.7, 81.0, 98.0, 107.0)
ALL = MeasurementOptions(noise=1, beam_stop=5, wedge=40, scale=0.3, extinction=0.05)


def case(names=("P 1 21 1",), cell=MONOCLINIC, d_min=0.9):
    """Arguments of `measure` up to the options, for crystals with one list of indices."""
    structures = [random_structure(name, cell, seed=k) for k, name in enumerate(names)]
    hkl = torch.from_numpy(structures[0].symmetry.unique_reflections(cell, d_min))
    batch = collate(structures)
    intensity = structure_factors(batch, hkl).abs().square()
    s2 = s_squared(batch.reciprocal_metric, hkl)
    every = torch.ones_like(intensity, dtype=torch.bool)
    return intensity, hkl, s2, every, batch.reciprocal_metric, batch.rotations


def generator(seed=1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("z", "wavelength", "expected"),
    [
        (17, COPPER, (0.3639, 0.7018)),
        (17, MOLYBDENUM, (0.1484, 0.1585)),
        (35, MOLYBDENUM, (-0.2901, 2.4595)),
        (6, COPPER, (0.0181, 0.0091)),
    ],
)
def test_anomalous_factors_are_those_of_international_tables(z, wavelength, expected):
    """International Tables C, 4.2.6.8."""
    np.testing.assert_allclose(anomalous_factors(wavelength)[z], expected, atol=0.012)


@pytest.mark.parametrize("wavelength", [COPPER, MOLYBDENUM])
def test_friedel_pairs_against_cctbx(root, wavelength):
    crystals = []
    for seed, (name, cell) in enumerate(
        [("P 1 21 1", MONOCLINIC), ("P 1", TRICLINIC), ("P 1 21/c 1", MONOCLINIC)]
    ):
        structure = random_structure(name, cell, n=8, seed=seed)
        structure.numbers[:2] = (17, 35)
        crystals.append((structure, structure.symmetry.unique_reflections(cell, 1.2)))
    sent = []
    for s, hkl in crystals:
        factors = anomalous_factors(wavelength)[s.numbers]
        atoms = [
            [gemmi.Element(int(z)).name, x.tolist(), float(u), 1.0, *f.tolist()]
            for z, x, u, f in zip(s.numbers, s.frac, s.u_iso, factors, strict=True)
        ]
        both = np.concatenate([hkl, -hkl]).tolist()
        sent.append({"cell": s.cell, "hall": s.symmetry.hall, "hkl": both, "atoms": atoms})
    command = [sys.executable, root / "tests" / "cctbx_direct.py"]
    done = subprocess.run(command, input=json.dumps(sent), capture_output=True, text=True, check=True)
    for (s, hkl), received in zip(crystals, json.loads(done.stdout), strict=True):
        plus, minus = np.split((np.array(received) ** 2).sum(1), 2)
        real, imaginary = (
            structure_factors(collate([s]), torch.from_numpy(hkl), table=t)[0].abs().square().numpy()
            for t in scattering_tables(wavelength)
        )
        np.testing.assert_allclose(real + imaginary, (plus + minus) / 2, rtol=1e-4, atol=1e-4 * plus.mean())
        differ = np.abs(plus - minus).mean() / plus.mean()
        assert differ < 1e-6 if s.symmetry.is_centrosymmetric else differ > 0.01


def test_extinction_by_hand():
    """SHELXL's EXTI for |F| = 80, x = 0.03, Cu Kα, d = 2.1 Å."""
    theta = math.asin(COPPER / (2 * 2.1))
    factor = (1 + 0.001 * 0.03 * 80**2 * COPPER**3 / math.sin(2 * theta)) ** -0.25
    assert 0.8 < factor < 0.95
    s2 = torch.tensor([[1 / (4 * 2.1**2)]])
    got = extinction(torch.tensor([[80.0**2]]), s2, torch.tensor([0.03]), COPPER)
    assert float(got) ** 0.5 == pytest.approx(factor, rel=1e-5)


def test_sigma_by_hand():
    """At s = ½ the background term is the constant; I in units of its mean of 200."""
    terms = torch.tensor([[0.006, 3.4e-4, 0.01]])
    got = sigma(torch.tensor([[0.0, 200.0, 2000.0]]), torch.full((1, 3), 0.25), torch.tensor([200.0]), terms)
    expected = [200 * math.sqrt(0.006**2 + 3.4e-4 * r + (0.01 * r) ** 2) for r in (0, 1, 10)]
    np.testing.assert_allclose(got[0].numpy(), expected, rtol=1e-5)


def test_errors_have_the_sigma_they_are_given(monkeypatch):
    monkeypatch.setattr(measurement, "SPREADS", (0.0, 0.0, 0.0))
    intensity, *rest = case(["P 1 21 1"] * 40)
    got = measure(intensity, *rest, MeasurementOptions(noise=5), generator())
    z = (got.intensity - intensity) / got.sigma
    assert float(z.mean()) == pytest.approx(0, abs=0.02)
    assert float(z.std()) == pytest.approx(1, abs=0.02)
    weak = intensity < got.sigma / 4
    negative = (got.intensity < 0)[weak].float().mean()
    assert 0.4 < float(negative) < 0.5
    assert (got.amplitude[got.intensity < 0] == 0).all()


def test_sigma_is_that_of_measured_crystals(shared_data):
    """Median over the sets of σ / σ(model) by resolution and strength: neither term nor its s is far off."""
    ratios = []
    for folder in sorted((shared_data / "measured").iterdir()):
        m = load_measurement(folder / "data.hkl", cif=folder / "structure.cif")
        r = merge(m.reflections, m.symmetry).reflections
        s2 = inverse_d_squared(m.cell, r.hkl) / 4
        use = ~m.symmetry.is_absent(r.hkl) & (s2 <= 1 / (4 * 0.8**2))
        intensity, s2 = (torch.from_numpy(a[use])[None] for a in (r.intensity, s2))
        reference = intensity[s2 <= 0.25].mean()[None]
        terms = torch.tensor([[measurement.BACKGROUND, measurement.COUNTING, measurement.INSTRUMENT]])
        model = sigma(intensity.clamp_min(0), s2, reference, terms.double())
        ratio = np.log(r.sigma[use] / model[0].numpy())
        relative, s = (intensity / reference)[0].numpy(), s2[0].sqrt().numpy()
        bins = [(relative > 1) & (s < 0.4), (relative < 0.3) & (s < 0.4), (relative < 0.3) & (s > 0.5)]
        ratios.append([np.median(ratio[b]) for b in bins])
    assert len(ratios) >= 17
    assert np.abs(np.median(ratios, 0)).max() < 0.5, np.median(ratios, 0)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("P 1", TRICLINIC),
        ("P -1", TRICLINIC),
        ("P 1 21 1", MONOCLINIC),
        ("C 1 2/c 1", MONOCLINIC),
        ("P 21 21 21", (7.2, 9.1, 11.3, 90.0, 90.0, 90.0)),
        ("R 3:H", (9.3, 9.3, 11.9, 90.0, 90.0, 120.0)),
    ],
)
def test_wedge_decides_on_merged_reflections(name, cell):
    """Equivalents and Friedel mates share the decision; the decision is that of angles, one by one."""
    group, batch = symmetry(name), collate([random_structure(name, cell, n=1)])
    unique = group.unique_reflections(cell, 1.6)
    every = np.concatenate([unique @ rotation for rotation in group.rotations] + [-unique])
    frame = random_frame(1, generator(3))
    metric = batch.reciprocal_metric
    got = outside_wedge(torch.from_numpy(every), metric, batch.rotations, frame, 70.0)[0].numpy()
    got = got.reshape(-1, len(unique))
    assert (got == got[0]).all()

    x = every @ np.linalg.cholesky(metric[0].double().numpy()) @ frame[0].double().numpy().T
    angle = np.degrees(np.arctan2(x[:, 2], x[:, 1])) % 180
    measured = ((angle > 35) & (angle < 145)).reshape(-1, len(unique))
    np.testing.assert_array_equal(got[0], measured.any(0))
    if name in ("P 1", "P -1"):
        assert 1 - got.mean() == pytest.approx(70 / 180, abs=0.06)
    else:
        assert 0 < 1 - got.mean() < 70 / 180


def test_beam_stop_takes_low_angles_alone():
    arguments = case(["P 1 21 1"] * 30)
    d = 1 / (2 * arguments[2].sqrt())
    got = measure(*arguments, MeasurementOptions(beam_stop=4), generator()).observed
    assert got[d <= 4].all()
    assert not got.all()
    for one, spacing in zip(got, d, strict=True):
        if not one.all():
            assert spacing[~one].min() > spacing[one].max()


def test_scale_is_one_number_a_crystal():
    intensity, *rest = case(["P 1 21 1"] * 200, d_min=2.0)
    k = measure(intensity, *rest, MeasurementOptions(scale=0.3), generator()).intensity / intensity
    np.testing.assert_allclose(k.numpy(), k[:, :1].expand_as(k).numpy(), rtol=1e-5)
    assert float(k[:, 0].log().std()) == pytest.approx(0.3, abs=0.05)


def test_pure_function_of_the_seed_and_effects_are_independent():
    arguments = case(["P 1 21 1", "C 1 2 1"])
    one, same, other = (measure(*arguments, ALL, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.intensity, same.intensity)
    assert torch.equal(one.observed, same.observed)
    assert not torch.equal(one.intensity, other.intensity)
    assert not torch.equal(one.observed, other.observed)
    without = measure(*arguments, replace(ALL, wedge=0), generator())
    assert torch.equal(one.intensity, without.intensity)
    nothing = measure(*arguments, MeasurementOptions(), generator())
    assert torch.equal(nothing.intensity, arguments[0])
    assert nothing.observed.all()


def test_bad_options():
    for name, value in {
        "noise": -1,
        "beam_stop": math.nan,
        "wedge": 180,
        "wavelength": 0,
        "extinction": math.inf,
    }.items():
        assert f"data.measurement.{name}" in complaint(lambda n, v: MeasurementOptions(**{n: v}), name, value)
    assert not MeasurementOptions().is_on
    assert MeasurementOptions(anomalous=True).is_on
