"""SHELXT beside the density prior: run the program where it is installed, and read what it found.

Sheldrick (2015), Acta Cryst. A71, 3. SHELXT reads name.ins and name.hkl, determines the space group
itself, and writes name.lxt, which lists its solutions from the best on, and name_a.res, name_b.res, …
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from xrdml.crystal.cell import Cell
from xrdml.crystal.files import read_text
from xrdml.crystal.hklf import write_hklf4
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.shelx import write_ins
from xrdml.crystal.shelx_atoms import read_res
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Symmetry
from xrdml.errors import UserError

PROGRAM = "shelxt"
JOB = "job"
TIMEOUT = 1800.0
"""Seconds; SHELXT needs seconds for a small molecule and an hour for a large one at low symmetry."""

_ROW = re.compile(rf"\s*(\d*\.\d+)\s+(\d*\.\d+)\s+(\d*\.\d+)\s.*\b({JOB}_[a-z])\b")


@dataclass(frozen=True)
class ShelxtSolution:
    """The solution that SHELXT lists first.

    Attributes
    ----------
    structure
        Its atoms, in the space group and setting that SHELXT chose.
    r1, r_weak, alpha
        Its figures of merit: R1, R over the weakest reflections, and the phase error from the
        group's symmetry.
    seconds
        Time it took.
    """

    structure: Structure
    r1: float
    r_weak: float
    alpha: float
    seconds: float


def find_shelxt() -> Path:
    """Where the program is.

    Raises
    ------
    UserError
        Nowhere on PATH.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        raise UserError(
            f"there is no program '{PROGRAM}' on PATH; install SHELXT (it is free for academics), "
            "or use --engine prior"
        )
    return Path(found)


def run_shelxt(
    reflections: Reflections,
    *,
    title: str,
    cell: Cell,
    symmetry: Symmetry,
    wavelength: float,
    contents: dict[str, float] | None = None,
    timeout: float = TIMEOUT,
) -> ShelxtSolution | None:
    """Solve in a scratch directory; None where SHELXT found nothing.

    Parameters
    ----------
    reflections
        Intensities in the setting of `cell`.
    title, wavelength, contents
        As :func:`xrdml.crystal.shelx.header` takes them.
    timeout
        Seconds.

    Raises
    ------
    UserError
        No such program, one that fails, takes too long, or writes what cannot be read.
    """
    program = find_shelxt()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="xrdml_shelxt_") as scratch:
        folder = Path(scratch)
        write_hklf4(folder / f"{JOB}.hkl", reflections.hkl, reflections.intensity, reflections.sigma)
        write_ins(
            folder / f"{JOB}.ins",
            title=title,
            cell=cell,
            symmetry=symmetry,
            wavelength=wavelength,
            contents=contents,
        )
        output = _run(program, folder, timeout)
        listing = folder / f"{JOB}.lxt"
        if not listing.is_file():
            last = (output.strip().splitlines() or ["nothing"])[-1]
            raise UserError(f"{program} wrote no {listing.name}; it said: {last[:100]}")
        best = best_row(read_text(listing))
        if best is None:
            return None
        (r1, r_weak, alpha), name = best
        return ShelxtSolution(
            read_res(folder / f"{name}.res"), r1, r_weak, alpha, time.perf_counter() - began
        )


def best_row(listing: str) -> tuple[tuple[float, float, float], str] | None:
    """R1, Rweak, alpha and file of the first solution in the text of an .lxt; None where there is none."""
    for line in listing.split("\n"):
        if match := _ROW.match(line):
            r1, r_weak, alpha, name = match.groups()
            return (float(r1), float(r_weak), float(alpha)), name
    return None


def _run(program: Path, folder: Path, timeout: float) -> str:
    """What it prints."""
    try:
        done = subprocess.run(
            [str(program), JOB],
            cwd=folder,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{program} was stopped after {timeout:g} s without an end") from None
    except OSError as error:
        raise UserError(f"{program} cannot be run ({error.strerror}); check the installation") from None
    return done.stdout.decode("utf-8", errors="replace")
