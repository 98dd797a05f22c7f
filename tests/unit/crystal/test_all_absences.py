"""Systematic absences of every setting of every space group, beside cctbx in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import gemmi
import numpy as np

from xrdml.crystal.symmetry import symmetry

CCTBX = """
from cctbx import sgtbx
import json, sys
out = []
for hall in json.load(sys.stdin):
    group = sgtbx.space_group(hall)
    cube = [(h, k, l) for h in range(-4, 5) for k in range(-4, 5) for l in range(-4, 5)]
    out.append("".join("01"[group.is_sys_absent(h)] for h in cube))
json.dump(out, sys.stdout)
"""


def test_every_setting():
    groups = list(gemmi.spacegroup_table())
    assert len({g.number for g in groups}) == 230
    told = subprocess.run(
        [sys.executable, "-c", CCTBX], text=True, capture_output=True, check=True,
        input=json.dumps([g.hall for g in groups]),
    )  # fmt: skip
    axis = np.arange(-4, 5)
    cube = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    origin = (cube == 0).all(1)
    for group, flags in zip(groups, json.loads(told.stdout), strict=True):
        expected = np.array([flag == "1" for flag in flags])
        got = symmetry(group.xhm()).is_absent(cube)
        assert (got == expected)[~origin].all(), group.xhm()
