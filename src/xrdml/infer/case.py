"""One measured crystal on its way through `infer` or `solve`: what was asked and what was read."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from xrdml import __version__
from xrdml.crystal.cell import Cell
from xrdml.crystal.files import OnlyRunIn, check_overwriting, writable_directory, write_text
from xrdml.crystal.load import SIBLINGS, Measurement, load_measurement, with_formula
from xrdml.crystal.problem import FillProblem, make_problem
from xrdml.crystal.reflections import Merged, merge
from xrdml.errors import UserError
from xrdml.infer.crystal_report import CrystalReport
from xrdml.phasing.solve import SolveOptions

Progress = Callable[[str, float], None]

DEFAULT_WAVELENGTH = 0.71073
"""Mo Kα in Å: written to SHELX files where no file gave a wavelength."""


@dataclass(frozen=True)
class CrystalRequest:
    """What can be chosen for every command that reads a measured crystal and may solve it.

    Attributes
    ----------
    input, ins, cif, cell, space_group
        As :func:`xrdml.crystal.load.load_measurement` takes them.
    out
        Folder of the results.
    cut
        Ignore what was measured at d < cut, Å.
    formula, z
        Instead of the contents that the files give, and the number of its units in the cell.
    search
        How hard to try to solve the crystal.
    phases
        Write phased F.
    """

    input: Path
    out: Path
    ins: Path | None = None
    cif: Path | None = None
    cell: Cell | None = None
    space_group: str | None = None
    cut: float | None = None
    formula: str | None = None
    z: int | None = None
    search: SolveOptions = field(default_factory=SolveOptions)
    phases: bool = False


@dataclass(frozen=True)
class Case:
    """A crystal that was read, merged and checked."""

    request: CrystalRequest
    measurement: Measurement
    merged: Merged
    problem: FillProblem

    @property
    def out(self) -> Path:
        return self.request.out

    @property
    def stem(self) -> str:
        return self.request.input.stem

    @property
    def title(self) -> str:
        return self.measurement.title or self.stem

    @property
    def wavelength(self) -> float:
        return self.measurement.wavelength or DEFAULT_WAVELENGTH


def load_case(request: CrystalRequest, d_min: float = 0.8) -> Case:
    """Read a crystal; nothing is written.

    Parameters
    ----------
    d_min
        Resolution to which reflections count as missing, Å.

    Raises
    ------
    UserError
        Options or input that cannot be used.
    """
    _check(request)
    measurement = load_measurement(
        request.input, ins=request.ins, cif=request.cif, cell=request.cell, space_group=request.space_group
    )
    measurement = with_formula(measurement, request.formula, request.z)
    merged = merge(measurement.reflections, measurement.symmetry)
    problem = make_problem(
        merged.reflections,
        measurement.cell,
        measurement.symmetry,
        d_min=d_min,
        cut=request.cut,
        contents=measurement.contents,
    )
    return Case(request, measurement, merged, problem)


def _check(request: CrystalRequest) -> None:
    if request.cut is not None and not 0.4 <= request.cut <= 10:
        raise UserError(f"--cut {request.cut:g}: give a resolution between 0.4 and 10 Å")
    for name in ("starts", "iterations"):
        if getattr(request.search, name) < 1:
            raise UserError(f"--{name} {getattr(request.search, name)}: give 1 or more")
    if not request.search.seconds > 0:
        raise UserError(f"--seconds {request.search.seconds:g}: give more than 0")


def claim_output(case: Case, suffixes: Iterable[str], inputs: Iterable[Path | None] = ()) -> OnlyRunIn:
    """Make the output folder, unless a file of the user's would be lost in it, and hold it.

    Parameters
    ----------
    suffixes
        Of the files <stem> + suffix that may be written.
    inputs
        Further files that were read.

    Returns
    -------
    What keeps other runs out, for a `with` block around all that is written.

    Raises
    ------
    UserError
        The folder cannot be written, holds such a file, or another run is writing to it.
    """
    request = case.request
    writable_directory(case.out)
    given = [request.input, request.ins, request.cif, *inputs]
    given += [request.input.with_suffix(suffix) for suffix in SIBLINGS]
    check_overwriting(case.out, [case.stem + suffix for suffix in suffixes], given)
    return OnlyRunIn(case.out)


def finish(report: CrystalReport, case: Case, suffixes: Iterable[str], started: float) -> None:
    """Add what every report ends with, and write it.

    Parameters
    ----------
    report
        Its `files` name what was written.
    suffixes
        As claimed: files of an earlier run that this one did not replace are warned of.
    started
        `time.perf_counter()` at the beginning.
    """
    files = report.content["files"]
    left = [case.stem + suffix for suffix in suffixes if case.stem + suffix not in files.values()]
    stale = [name for name in left if (case.out / name).exists()]
    if stale:
        report.warnings.append(
            f"{', '.join(stale)} in {case.out} stem from an earlier run, not from this one"
        )
    files["report"] = "report.json"
    report.content |= {
        "directory": str(case.out),
        "seconds": round(time.perf_counter() - started, 2),
        "versions": _versions(),
    }
    write_text(case.out / "report.json", report.to_json())


def _versions() -> dict[str, Any]:
    packages = {package: version(package) for package in ("numpy", "gemmi")}
    return {"xrdml": __version__, **packages, "python": platform.python_version()}
