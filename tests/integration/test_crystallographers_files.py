"""Readers, writers and merging on published data, against cctbx (in its own process) and SHELXL's values."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import gemmi
import numpy as np
import pytest
from gemmi import cif

from xrdml.crystal.cif import read_cif, read_structure
from xrdml.crystal.hklf import read_hklf4, write_hklf4
from xrdml.crystal.load import load_measurement
from xrdml.crystal.reflections import merge
from xrdml.crystal.shelx import write_ins
from xrdml.crystal.symmetry import symmetry

# cctbx must be the first C++ library of its process, so it gets one without xrdml.
CCTBX = """
import iotbx.shelx.hklf, json, sys
from iotbx.shelx import crystal_symmetry_from_ins
out = {}
for path in sys.argv[1:]:
    if path.endswith('.hkl'):
        with open(path) as file:
            data = iotbx.shelx.hklf.reader(file_object=file)
        out[path] = [[list(h) for h in data.indices()], list(data.data()), list(data.sigmas())]
    else:
        symmetry = crystal_symmetry_from_ins.extract_from(path)
        hall = symmetry.space_group().type().hall_symbol()
        operations = sorted(op.as_xyz() for op in symmetry.space_group())
        out[path] = [list(symmetry.unit_cell().parameters()), hall, operations]
json.dump(out, sys.stdout)
"""


def cctbx_reads(*paths: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", CCTBX, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


def folders(shared_data: Path) -> list[Path]:
    found = sorted(path.parent for path in shared_data.glob("measured/*/data.hkl"))
    assert len(found) == 17
    return found


def test_measured_crystals_are_read_as_recorded(shared_data):
    """Numbers of observations and unique reflections, resolution, cell and formula of measured.csv."""
    with (shared_data / "measured.csv").open() as file:
        recorded = {row["id"]: row for row in csv.DictReader(file)}
    for folder in folders(shared_data):
        row = recorded[folder.name]
        found = load_measurement(folder / "data.hkl", cif=folder / "structure.cif")
        merged = merge(found.reflections, found.symmetry)
        assert len(found.reflections) == int(row["n_obs"])
        absent = found.symmetry.is_absent(merged.reflections.hkl)
        assert (~absent).sum() == int(row["n_unique"])
        assert found.symmetry.name == gemmi.SpaceGroup(row["spacegroup"]).xhm()
        assert found.cell == pytest.approx([float(x) for x in row["cell"].split()], abs=2e-3)
        assert found.contents is not None
        assert found.wavelength == pytest.approx(float(row["wavelength"]))


def test_merging_agrees_with_shelxl(shared_data):
    """R(int) that SHELXL wrote into the CIFs; it weights otherwise, and some refinements left data out."""
    ours, theirs = [], []
    for folder in folders(shared_data):
        reported = cif.read(str(folder / "structure.cif"))[0].find_value("_diffrn_reflns_av_R_equivalents")
        found = load_measurement(folder / "data.hkl", cif=folder / "structure.cif")
        merged = merge(found.reflections, found.symmetry)
        if merged.r_int is None:  # published after merging
            assert (merged.redundancy == 1).all()
            continue
        ours.append(merged.r_int)
        theirs.append(cif.as_number(reported))
    assert len(ours) == 14
    relative = np.abs(np.array(ours) / theirs - 1)
    assert np.median(relative) < 0.02
    assert (relative < 0.2).all()


def test_merging_sucrose_agrees_with_gemmi(shared_data):
    folder = shared_data / "measured" / "FinalCif-DK-Zucker2-0m"
    found = load_measurement(folder / "data.hkl", cif=folder / "structure.cif")
    merged = merge(found.reflections, found.symmetry)
    reference = gemmi.Intensities()
    data = found.reflections
    reference.set_data(
        gemmi.UnitCell(*found.cell),
        gemmi.SpaceGroup(found.symmetry.name),
        data.hkl,
        data.intensity,
        data.sigma,
    )
    reference.merge_in_place(gemmi.DataType.Mean)
    order = np.lexsort(reference.miller_array.T[::-1])
    assert (reference.miller_array[order] == merged.reflections.hkl).all()
    assert reference.value_array[order] == pytest.approx(merged.reflections.intensity, rel=1e-6, abs=1e-4)


def test_hkl_files_as_cctbx_reads_them(shared_data, tmp_path):
    names = ["COD_1518526", "COD_3500018", "COD_4037663"]
    paths = [shared_data / "measured" / name / "data.hkl" for name in names]
    rng = np.random.default_rng(1)
    hkl = rng.integers(-120, 121, (3000, 3))
    hkl = hkl[hkl.any(1)]
    paths.append(tmp_path / "touching.hkl")
    scale = write_hklf4(paths[-1], hkl, rng.normal(0, 5000, len(hkl)), rng.uniform(0, 300, len(hkl)))
    assert scale in (0.1, 1.0)
    reference = cctbx_reads(*paths)
    for path in paths:
        ours = read_hklf4(path)
        indices, intensity, sigma = reference[str(path)]
        assert ours.hkl.tolist() == indices
        # cctbx' own conversion from text is off in the last bit.
        assert ours.intensity == pytest.approx(np.array(intensity), rel=1e-14)
        assert ours.sigma == pytest.approx(np.array(sigma), rel=1e-14)


def test_ins_files_as_cctbx_reads_them(tmp_path):
    cells = {
        "P 1": (5, 6, 7, 80, 95, 110),
        "P -1": (5, 6, 7, 80, 95, 110),
        "P 1 21 1": (5, 6, 7, 90, 95, 90),
        "I 1 2/a 1": (5, 6, 7, 90, 95, 90),
        "P 1 21/n 1": (5, 6, 7, 90, 95, 90),
        "F d d 2": (5, 6, 7, 90, 90, 90),
        "P 41 21 2": (5, 5, 7, 90, 90, 90),
        "I 41/a :1": (5, 5, 7, 90, 90, 90),
        "R -3 c:H": (9, 9, 20, 90, 90, 120),
        "R 3:R": (6, 6, 6, 80, 80, 80),
        "P 65 2 2": (9, 9, 20, 90, 90, 120),
        "F d -3 m:2": (9, 9, 9, 90, 90, 90),
    }
    paths = {name: tmp_path / f"{i}.ins" for i, name in enumerate(cells)}
    for name, path in paths.items():
        write_ins(path, title=name, cell=cells[name], wavelength=0.7, symmetry=symmetry(name))
    reference = cctbx_reads(*paths.values())
    for name, path in paths.items():
        cell, _, operations = reference[str(path)]
        assert cell == pytest.approx(cells[name])
        ours = {op.wrap().triplet() for op in gemmi.SpaceGroup(name).operations()}
        assert {gemmi.Op(t).wrap().triplet() for t in operations} == ours


def test_all_published_structures_are_read(shared_data):
    """All 271 published crystals; cell contents from the atoms agree with the formula for nearly all."""
    paths = sorted((shared_data / "structures").glob("*.cif"))
    assert len(paths) == 271
    agree = 0
    for path in paths:
        structure = read_structure(path)
        assert np.isfinite(structure.frac).all()
        assert (structure.u_iso > 0).all()
        contents = read_cif(path).contents or {}
        counted = structure.cell_contents()
        heavy = (set(contents) | set(counted)) - {"H"}
        agree += all(
            abs(contents.get(e, 0) - counted.get(e, 0)) <= 0.02 * sum(counted.values()) for e in heavy
        )
    assert agree >= 268


def test_a_million_reflections_in_seconds(tmp_path):
    """Generous limits for a shared machine; it takes 1 s to read and 0.5 s to merge."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    hkl = rng.integers(-60, 61, (n, 3))
    hkl[:, 2] += ~hkl.any(1)
    path = tmp_path / "big.hkl"
    assert write_hklf4(path, hkl, rng.normal(100, 300, n), rng.uniform(0.1, 3, n)) == 1
    start = time.process_time()
    data = read_hklf4(path)
    read = time.process_time()
    merged = merge(data, symmetry("P21"))
    assert len(data) == merged.redundancy.sum() == n
    assert read - start < 10
    assert time.process_time() - read < 10
