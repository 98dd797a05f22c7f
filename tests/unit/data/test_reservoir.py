"""Crystals packed beside the training: nobody waits, nothing is lost, and the workers end."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from crystals import MONOCLINIC, random_structure
from xrdml.crystal.molecular_options import MolecularOptions
from xrdml.crystal.molecule_library import MoleculeLibrary, write_library
from xrdml.data.reservoir import Reservoir
from xrdml.errors import UserError
from xrdml.physics.molecular import make_crystals

METHANOL = np.array(
    [[0, 0, 0], [1.42, 0, 0], [-0.36, 1.03, 0], [-0.36, -0.51, 0.89], [-0.36, -0.51, -0.89], [1.74, 0.91, 0]]
)
SECONDS = 120.0
BLOCK = 4


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    path = tmp_path_factory.mktemp("library") / "molecules.h5"
    numbers = np.array([6, 8, 1, 1, 1, 1], np.uint8)
    write_library(path, [("CO", numbers, METHANOL)], {"seed": 1, "n_solvents": 0})
    return MolecularOptions.make(["P-1"], path, grid=None)


@pytest.mark.slow  # starts an interpreter with torch and packs crystals twice: 53 s on a loaded machine
def test_fills_without_waiting_and_ends(options):
    start = [random_structure(cell=MONOCLINIC, n=3, seed=k) for k in range(3)]
    reservoir = Reservoir(start, options, seed=5, block=BLOCK)
    try:
        begin = time.monotonic()
        batch = reservoir.__getitems__([0, 2])
        assert time.monotonic() - begin < 1, "the first batch must not wait for the packing"
        assert batch == [start[k] for k in (0, 2)]
        while reservoir.packed < BLOCK and time.monotonic() - begin < SECONDS:
            reservoir.refresh()
            time.sleep(0.05)
        assert len(reservoir) == 3
        # Block 0 is what (seed, 0 … 3) makes, wherever it is made; its last three are in place.
        expected = make_crystals(MoleculeLibrary(options.library), options, 5, range(BLOCK))
        for k in range(BLOCK - 3, BLOCK):
            got = reservoir[k % 3]
            if reservoir.packed == BLOCK:
                assert got.space_group == expected[k].space_group
                np.testing.assert_allclose(got.frac, expected[k].frac, atol=1e-9)
        assert not any(s is t for s, t in zip(map(reservoir.__getitem__, range(3)), start, strict=True))

        os.kill(reservoir.processes[0].pid, signal.SIGKILL)
        reservoir.processes[0].join()
        with pytest.raises(UserError, match="status -9"):
            reservoir.refresh()
    finally:
        reservoir.close()
    assert not any(p.is_alive() for p in reservoir.processes)
