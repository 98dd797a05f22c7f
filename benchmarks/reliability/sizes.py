"""Crystals at the edges: a million reflections, cells from 3 to 60 Å, every space group."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from reliability import forked
from reliability.places import one_line
from reliability.rows import Row

ABSENCES = """
from cctbx import sgtbx
import json, sys
out = []
for hall, hkl in json.load(sys.stdin):
    group = sgtbx.space_group(hall)
    out.append([bool(group.is_sys_absent(tuple(h))) for h in hkl])
json.dump(out, sys.stdout)
"""


def cell_for(group) -> tuple[float, float, float, float, float, float]:
    """A cell of the right shape for a setting of gemmi's table, about 600 Å³ and more."""
    system = group.crystal_system_str()
    if system == "cubic":
        return (9.0, 9.0, 9.0, 90.0, 90.0, 90.0)
    if system == "tetragonal":
        return (8.0, 8.0, 11.0, 90.0, 90.0, 90.0)
    if system in ("hexagonal", "trigonal"):
        if group.ext == "R":
            return (9.0, 9.0, 9.0, 75.0, 75.0, 75.0)
        return (9.0, 9.0, 11.0, 90.0, 90.0, 120.0)
    if system == "orthorhombic":
        return (7.0, 9.0, 11.0, 90.0, 90.0, 90.0)
    if system == "monoclinic":
        angles = [90.0, 90.0, 90.0]
        angles["abc".index(group.monoclinic_unique_axis())] = 101.0
        return (7.0, 9.0, 11.0, *angles)
    return (7.0, 9.0, 11.0, 84.0, 97.0, 103.0)


def space_groups(place: Path, every_setting: bool) -> Row:
    """Random intensities, absences measured as noise, through `infer`; absences compared with cctbx."""
    import gemmi

    from xrdml.api import fill
    from xrdml.crystal.hklf import read_hklf4, write_hklf4
    from xrdml.crystal.symmetry import symmetry

    row = Row(
        "every space group through `infer`"
        + (", in every setting of gemmi's table" if every_setting else ""),
        "no wrong absence by cctbx: all written with I = 0, and no other lost",
    )
    table = [g for g in gemmi.spacegroup_table() if every_setting or g.is_reference_setting()]
    written = []
    for group in table:
        rng = np.random.default_rng(group.number)
        cell = cell_for(group)
        try:
            d, unique = 1.6, symmetry(group.xhm()).unique_reflections(cell, 1.6)
            while len(unique) < 60:  # high symmetry leaves few
                d *= 0.8
                unique = symmetry(group.xhm()).unique_reflections(cell, d)
            cube = np.array([[h, k, l] for h in range(-3, 4) for k in range(-3, 4) for l in range(-3, 4)][1:])
            absent = symmetry(group.xhm()).is_absent(cube)
            measured = np.concatenate([unique, cube[absent][:40]])
            intensity = rng.exponential(100.0, len(measured)) + 1
            intensity[len(unique) :] = 1.0
            path = place / f"g{group.number}-{len(written)}.hkl"
            write_hklf4(path, measured, intensity, np.full(len(measured), 2.0))
            report = fill(
                path,
                cell=cell,
                space_group=group.xhm(),
                model="radial",
                d_min=0.8 * d,
                out=place / path.stem,
                figures=False,
            )
            found = read_hklf4(place / path.stem / path.name)
        except Exception as error:
            row.count(f"{group.xhm()}: {type(error).__name__}: {error}")
            continue
        n_unique = len(symmetry(group.xhm()).unique_reflections(cell, 0.8 * d))
        written.append((group, found.hkl, found.intensity, n_unique, report.content["counts"]["absent"]))
    told = subprocess.run(
        [sys.executable, "-c", ABSENCES], text=True, capture_output=True, check=True,
        input=json.dumps([(g.hall, hkl.tolist()) for g, hkl, *_ in written]),
    )  # fmt: skip
    for (group, hkl, intensity, n_unique, _), flags in zip(written, json.loads(told.stdout), strict=True):
        truly = np.array(flags)
        wrong = int(((intensity == 0) != truly).sum())
        present = int((~truly).sum())
        if wrong or present < n_unique:
            row.count(f"{group.xhm()}: {wrong} of {len(hkl)} wrong, {present} of {n_unique} present")
        else:
            row.count(None)
    return row


def million(place: Path) -> Row:
    """A million reflections of a cell of 60 Å, and a million observations of a small one."""
    from xrdml.crystal.hklf import write_hklf4
    from xrdml.crystal.symmetry import symmetry

    row = Row("10⁶ reflections", "filled by `infer --model radial`, or refused by one line")
    rng = np.random.default_rng(1)
    cases = {
        "unique, cell 62 Å": ((62.0, 60.0, 64.0, 90.0, 90.0, 90.0), 0.80),
        "observations, cell 12 Å": ((12.0, 13.0, 14.0, 90.0, 90.0, 90.0), 0.80),
    }
    for name, (cell, d) in cases.items():
        unique = symmetry("P1").unique_reflections(cell, d)
        hkl = np.tile(unique, (max(1, round(1e6 / len(unique))), 1))
        path = place / f"m{len(hkl)}.hkl"
        write_hklf4(path, hkl, rng.exponential(50.0, len(hkl)) + 0.1, np.full(len(hkl), 1.0))
        words = [
            "--cell",
            ",".join(map(str, cell)),
            "--space-group",
            "P1",
            "--model",
            "radial",
            "--no-figures",
        ]
        row.count(_infer(path, place, words, d * 0.97, row, f"{len(hkl)} {name}"))
    return row


def cells(place: Path) -> Row:
    """Axes from 3 to 60 Å, to 1.5 Å; the prior up to 20 Å."""
    from xrdml.crystal.hklf import write_hklf4
    from xrdml.crystal.symmetry import symmetry

    row = Row("cells of 3 to 60 Å", "filled, or refused by one line")
    rng = np.random.default_rng(1)
    for a in (3.0, 5.0, 8.0, 12.0, 20.0, 30.0, 45.0, 60.0):
        for shape in ((a, a * 1.1, a * 1.2), (3.0, 10.0, a)):
            cell = (*shape, 90.0, 95.0, 90.0)
            unique = symmetry("P21").unique_reflections(cell, 1.5)
            path = place / f"c{a:g}-{shape[0]:g}.hkl"
            write_hklf4(path, unique, rng.exponential(50.0, len(unique)) + 0.1, np.full(len(unique), 1.0))
            model = "density_prior" if max(shape) <= 20 else "radial"
            words = [
                "--cell",
                ",".join(map(str, cell)),
                "--space-group",
                "P21",
                "--model",
                model,
                "--no-figures",
            ]
            words += ["--starts", "1", "--iterations", "3"]
            row.count(_infer(path, place, words, 1.2, row, f"{shape[0]:g} × {shape[1]:g} × {shape[2]:g} Å"))
    return row


def _infer(path: Path, place: Path, words: list[str], d_min: float, row: Row, name: str) -> str | None:
    words = ["infer", str(path), *words, "--d-min", f"{d_min:.3f}", "--out", str(place / path.stem)]
    ended = forked.run(words, place / "log")
    took = f"{name}: {ended.seconds:.0f} s, {ended.peak:.0f} MB at most"
    if row.fault.startswith("10"):
        row.remarks.append(took)
    failure = one_line(ended.code, ended.said)
    return failure and f"{name}: {failure}"


def run(place: Path, every_setting: bool) -> Iterator[Row]:
    """All of these."""
    forked.prepare()
    for name, part in (
        ("groups", lambda p: space_groups(p, every_setting)),
        ("million", million),
        ("cells", cells),
    ):
        folder = place / name
        folder.mkdir()
        yield part(folder)
