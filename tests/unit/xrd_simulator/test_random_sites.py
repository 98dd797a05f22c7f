"""Our faster search for sites gives the thesis' structures: compared with cctbx in a process of its own."""

from __future__ import annotations

import subprocess
import sys

CODE = """
from xrdml.xrd_simulator.random_atoms import random_sites, space_group_info
import random
import numpy as np
from cctbx import crystal
from cctbx.development import random_structure
from xrdml.crystal.symmetry import symmetry

special = 0
for name in ("P21", "C2", "P-1", "Pbca", "P6522", "R-3:R", "Fm-3m"):
    group = symmetry(name)
    info = space_group_info(group.name)
    for n in (10, 16, 17, 30):
        cell = info.any_compatible_unit_cell(n * 15 * group.order)
        settings = crystal.special_position_settings(
            crystal.symmetry(cell, space_group_info=info),
            min_distance_sym_equiv=1.5, u_star_tolerance=0, assert_min_distance_sym_equiv=True)
        for seed in range(5):
            random.seed(seed)
            expected = np.array(random_structure.random_sites(settings, [], n, min_hetero_distance=1.5))
            random.seed(seed)
            found = random_sites(settings, n, 1.5)
            assert (found == expected).all(), (name, n, seed)
            special += (group.site_order(found, cell.parameters()) > 1).sum()

# No room: 30 atoms where one would fit.
tight = crystal.special_position_settings(
    crystal.symmetry((3, 3, 3, 90, 90, 90), "P1"), min_distance_sym_equiv=1.5)
assert random_sites(tight, 30, 1.5) is None
print(special)
"""


def test_same_sites_as_cctbx():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50  # special positions are among them
