"""Contraction, noise and paths with projections whose effect is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from crystals import spread_structure
from xrdml.data.density import conditions
from xrdml.explain.contraction import (
    contraction,
    known_map,
    mixed,
    prior_response,
    quality,
    sphere_of,
)
from xrdml.explain.path import aligned, follow, projected
from xrdml.explain.subject import subject_of
from xrdml.phasing.iterate import Schedule, map_correlation

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def subject():
    return subject_of("made up", spread_structure("P 1 21 1", 4, cell=(5.2, 6.1, 6.9, 90, 101, 90), seed=2))


@pytest.fixture(scope="module")
def known(subject):
    return known_map(subject.problem, subject.structure)


def truth_to_the_limit(known):
    return known.f_true * (known.sphere.known | known.sphere.floating)


def test_amplitudes_and_phases_belong_together(subject, known):
    """Measured |F| are those of the atoms, so the map without phase errors is the true one."""
    s = known.sphere
    f = mixed(known, 0.0, 1, torch.Generator())
    found = quality(known.f_true, f, s.known)
    assert found.cc == pytest.approx(1, abs=1e-5)
    assert found.phase_error == pytest.approx(0, abs=0.1)
    assert not (known.beyond & s.known).any()
    assert int((known.beyond | s.known | s.floating).sum()) == int(s.drawn.sum())


def test_quality_by_hand():
    true = torch.tensor([2.0 + 0j, 1.0 + 0j]).reshape(2, 1, 1)
    f = torch.tensor([2.0 + 0j, 1j]).reshape(1, 2, 1, 1)
    everything = torch.ones(2, 1, 1, dtype=torch.bool)
    found = quality(true, f, everything)
    assert found.cc == pytest.approx(4 / 5)
    assert found.phase_error == pytest.approx(90 / 3)


def test_random_phases_are_chance(known):
    found = quality(known.f_true, mixed(known, 1.0, 20, torch.Generator().manual_seed(1)), known.sphere.known)
    assert abs(found.cc) < 0.1
    assert found.phase_error == pytest.approx(90, abs=6)


def test_contraction_of_the_identity_and_of_the_truth(known):
    levels, told = (0.0, 0.5, 1.0), (0.3,)
    steps = contraction(known, lambda f, level: f, levels, told, draws=2)
    assert [(s.level, s.told) for s in steps] == [(a, b) for a in levels for b in (a, 0.3)]
    for step in steps:
        assert step.after.cc == pytest.approx(step.before.cc, abs=1e-5)
        assert step.after.phase_error == pytest.approx(step.before.phase_error, abs=1e-3)
    assert steps[0].before.cc > steps[2].before.cc > steps[4].before.cc

    for step in contraction(known, lambda f, level: known.f_true.expand_as(f), levels, told, draws=2):
        assert step.after.cc == pytest.approx(1, abs=1e-5)
        assert step.beyond.phase_error == pytest.approx(0, abs=0.1)


class Copy(nn.Module):
    """A prior that returns the map that it is given."""

    def forward(self, x, told):
        assert (
            told.shape[1]
            == conditions(*([torch.zeros(1)] * 2), [(5.0,) * 3 + (90.0,) * 3], (8, 8, 8)).shape[1]
        )
        return x[:, 0]


def test_response_of_a_prior_that_copies(subject, known):
    """What is measured changes as much as the noise, what lies beyond is not drawn and does not change."""
    response = prior_response(Copy(), known, subject.problem, levels=(0.02, 0.1), draws=20)
    measured = known.sphere.known.numpy() & (known.sphere.amplitude.numpy() > 0)
    relative = response.change[:, measured] / known.sphere.amplitude.numpy()[measured]
    # The scale of the drawn map is fitted to the data, and bfloat16 rounds it.
    assert np.sqrt((relative**2).mean(1)) == pytest.approx([0.02, 0.1], rel=0.25)
    assert response.change[:, known.beyond.numpy()].max() < 0.02 * response.output[measured].max()
    assert response.counted.sum() == known.sphere.drawn.sum()


def test_a_moved_and_inverted_map_is_brought_back(known):
    true = truth_to_the_limit(known)
    h, k, l = (torch.fft.fftfreq(n, 1 / n) for n in true.shape)
    phase = h[:, None, None] * 3 / len(h) + k[:, None] * 5 / len(k) + l * 2 / len(l)
    everything = torch.ones_like(known.sphere.known)
    for f in (true, true.conj().resolve_conj()):
        moved = f * torch.polar(torch.ones_like(phase), 2 * torch.pi * phase)
        assert float(map_correlation(true, moved[None], everything)[0]) == pytest.approx(1, abs=1e-5)
        assert torch.allclose(aligned(true, moved, everything), true, atol=1e-3 * float(true.abs().max()))


class Oracle(nn.Module):
    """A prior that draws the true map whatever it is given."""

    def __init__(self, f_true):
        super().__init__()
        self.map = torch.fft.ifftn(f_true, norm="ortho").real
        self.place = nn.Parameter(torch.zeros(1))

    def forward(self, x, told):
        return self.map.expand(len(x), *self.map.shape)


def test_path_of_an_oracle(known):
    path, tried = follow(Oracle(known.f_true), known.sphere, known.f_true, Schedule(60), starts=8, batch=2)
    assert tried == 2  # the first two starts run side by side, and are solved
    assert path.is_solved
    assert path.merit == pytest.approx(1, abs=0.01)
    # Looked at every 2 iterations, it goes on for 30 after the first, when it was solved.
    assert path.column("iteration").tolist() == list(range(2, 33, 2))
    assert path.column("map_cc") == pytest.approx(1, abs=0.01)
    drawn = path.moments[0].f
    assert np.corrcoef(projected(drawn).ravel(), projected(known.f_true).ravel())[0, 1] > 0.999


def test_path_without_a_structure_takes_all_starts(subject):
    path, tried = follow(Copy(), sphere_of(subject.problem), None, Schedule(4), starts=3, batch=2)
    assert tried == 3
    assert not path.is_solved
    assert np.isnan(path.column("map_cc")).all()
    assert path.column("iteration").tolist() == [2, 4]
    assert path.merit == -path.column("r").min()
