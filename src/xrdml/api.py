"""Python calls that do what the commands do: `simulate`, `load`, `fill`, `solve`, `report`.

They are attributes of the package (``import xrdml; xrdml.fill("weak.hkl")``). Each command is a thin layer
over its call, so that both give the same files and numbers. What is heavy is imported when a call is made.
Every call raises :class:`xrdml.errors.UserError` for input that cannot be used; its message says what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xrdml.crystal.load import Measurement
    from xrdml.crystal.reflections import Merged
    from xrdml.crystal.store import StructureStore
    from xrdml.infer.report import Report
    from xrdml.infer.solve_report import SolveReport

DATASETS = (".h5", ".hdf5")
INFER_ENDING, SOLVE_ENDING = "_filled", "_solved"

CellLike = str | Sequence[float] | None
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Crystal:
    """A measured crystal, as :func:`load` returns it and :func:`fill` and :func:`solve` take it.

    Attributes
    ----------
    given
        Path and options that it was loaded with.
    measurement
        Reflections as measured, cell, symmetry, wavelength, contents, title.
    merged
        Laue-unique reflections, (n, 3) indices with intensities and sigmas on the scale of the file;
        redundancy, R_int, R_sigma.
    """

    given: Mapping[str, Any]
    measurement: Measurement
    merged: Merged


def load(
    path: str | Path,
    *,
    ins: str | Path | None = None,
    cif: str | Path | None = None,
    cell: CellLike = None,
    space_group: str | None = None,
    formula: str | None = None,
    z: int | None = None,
    cut: float | None = None,
) -> Crystal | StructureStore:
    """Read a measured crystal, or open a data set.

    Parameters
    ----------
    path
        HKLF 4 or a CIF with reflections; or a data set (.h5), whose entry i is a structure.
    ins, cif, cell, space_group, formula, z
        Instead of what lies beside `path`, as the options of `xrdml infer`; `cell` is a, b, c in Å and
        α, β, γ in degrees.
    cut
        Ignore what was measured at d < cut, Å, when the crystal is filled or solved.
    """
    if Path(path).suffix.lower() in DATASETS:
        from xrdml.crystal.store import StructureStore

        return StructureStore(path)
    from xrdml.crystal.load import load_measurement, with_formula
    from xrdml.crystal.reflections import merge

    measurement = load_measurement(path, ins=ins, cif=cif, cell=_cell(cell), space_group=space_group)
    measurement = with_formula(measurement, formula, z)
    given = {
        "input": Path(path), "ins": _path(ins), "cif": _path(cif), "cell": _cell(cell),
        "space_group": space_group, "formula": formula, "z": z, "cut": cut,
    }  # fmt: skip
    return Crystal(given, measurement, merge(measurement.reflections, measurement.symmetry))


def fill(
    input: str | Path | Crystal,
    *,
    out: str | Path | None = None,
    ins: str | Path | None = None,
    cif: str | Path | None = None,
    cell: CellLike = None,
    space_group: str | None = None,
    formula: str | None = None,
    z: int | None = None,
    cut: float | None = None,
    starts: int = 64,
    iterations: int = 200,
    seconds: float = float("inf"),
    seed: int = 0,
    d_min: float = 0.8,
    model: str = "density_prior",
    fallback: str | None = None,
    grid: str | None = None,
    phases: bool = False,
    figures: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Fill a measured crystal to `d_min` and write its files: `xrdml infer`.

    Parameters
    ----------
    input
        A file, or a crystal of :func:`load`, whose options then count.
    out
        Folder of the results; by default ``<input>_filled`` beside the input.
    progress
        Called with what is going on and the best R so far.
    others
        As the options of `xrdml infer`.

    Returns
    -------
    A report: `content` is what report.json holds, `warnings` and `summary()` what the command prints.
    """
    from xrdml.crystal.grid import HklGrid
    from xrdml.infer.pipeline import InferOptions, infer

    crystal = _crystal(input, locals())
    options = InferOptions(
        **crystal,
        **_search(starts, iterations, seconds, seed),
        out=_out(out, crystal["input"], INFER_ENDING),
        phases=phases,
        d_min=d_min,
        model=model,
        fallback=fallback,
        grid=None if grid is None else HklGrid.parse(grid),
        figures=figures,
    )
    return infer(options, progress)


def solve(
    input: str | Path | Crystal,
    *,
    out: str | Path | None = None,
    ins: str | Path | None = None,
    cif: str | Path | None = None,
    cell: CellLike = None,
    space_group: str | None = None,
    formula: str | None = None,
    z: int | None = None,
    cut: float | None = None,
    starts: int = 64,
    iterations: int = 200,
    seconds: float = float("inf"),
    seed: int = 0,
    engine: str = "prior",
    model: str = "density_prior",
    reference: str | Path | None = None,
    phases: bool = False,
    progress: Progress | None = None,
) -> SolveReport:
    """Solve a measured crystal and write phases, map and atoms: `xrdml solve`.

    Parameters
    ----------
    input, out, progress
        As in :func:`fill`; the folder is ``<input>_solved`` by default.
    engine
        ``prior``, or ``shelxt`` if that program is on PATH.
    others
        As the options of `xrdml solve`.

    Returns
    -------
    A report; ``content["solved"]`` is the verdict.
    """
    from xrdml.infer.solve import SolveRequest, solve_crystal

    crystal = _crystal(input, locals())
    request = SolveRequest(
        **crystal,
        **_search(starts, iterations, seconds, seed),
        out=_out(out, crystal["input"], SOLVE_ENDING),
        phases=phases,
        weights=model,
        reference=_path(reference),
    )
    if engine == "shelxt":
        from xrdml.infer.solve_by_shelxt import solve_by_shelxt

        return solve_by_shelxt(request, progress)
    if engine != "prior":
        from xrdml.errors import UserError

        raise UserError(f"unknown engine '{engine}'; there is: prior, shelxt")
    return solve_crystal(request, progress)


def simulate(
    output: str | Path,
    n: int = 1000,
    *,
    space_groups: str | Sequence[str] = "P21,C2",
    recipe: str = "random_atoms",
    molecules: str | Path | None = None,
    thesis: bool = False,
    seed: int = 1,
    workers: int | None = None,
    shard: str | None = None,
    grid: str | None = "-13:12,0:17,0:22",
    tensors: bool = False,
    d_min_low: float = 1.5,
    d_min_high: float = 0.8,
    progress: Callable[[int], None] = lambda _: None,
) -> StructureStore | None:
    """Bring a data set of random crystals to `n` crystals: `xrdml simulate`.

    Crystals are made in processes of their own, so that this may be called beside torch.

    Parameters
    ----------
    workers
        Processes; the file does not depend on it. None: one a core.
    shard
        ``i/n``: make only the i-th of n parts.
    progress
        Called with the number of crystals made since the last call.
    others
        As the options of `xrdml simulate`.

    Returns
    -------
    The data set, or None where only a part was asked for.
    """
    import os

    from xrdml.crystal.store import StructureStore
    from xrdml.errors import UserError
    from xrdml.xrd_simulator.request import parse_shard, requested
    from xrdml.xrd_simulator.simulate import simulate as run

    names = space_groups.split(",") if isinstance(space_groups, str) else list(space_groups)
    attributes = requested(
        space_groups=[name for name in names if name.strip()], recipe=recipe, molecules=molecules,
        thesis=thesis, seed=seed, grid=grid, tensors=tensors, d_min_low=d_min_low, d_min_high=d_min_high,
    )  # fmt: skip
    workers = (os.cpu_count() or 1) if workers is None else workers
    for name, value in (("n", n), ("workers", workers)):
        if value < 1:
            raise UserError(f"--{name} {value}: give 1 or more")
    part = None if shard is None else parse_shard(shard)
    run(output, n, attributes, workers=workers, made=progress, part=part)
    return None if shard is not None else StructureStore(output)


def report(source: str | Path, *, out: str | Path | None = None) -> Path:
    """Write a result or a training run as one HTML file: `xrdml report`.

    Parameters
    ----------
    source
        Folder that :func:`fill`, :func:`solve` or `xrdml train` wrote.
    out
        The file; by default report.html in that folder.

    Returns
    -------
    The file.
    """
    from xrdml.html_report.write import write_report

    return write_report(Path(source), _path(out))


def _crystal(given: str | Path | Crystal, options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of :class:`xrdml.infer.case.CrystalRequest` from a call's arguments."""
    names = ("ins", "cif", "cell", "space_group", "formula", "z", "cut")
    if isinstance(given, Crystal):
        doubled = [name for name in names if options[name] is not None]
        if doubled:
            raise TypeError(f"{', '.join(doubled)}: give these to load(), which made this crystal")
        return dict(given.given)
    chosen = {name: options[name] for name in names}
    chosen |= {"ins": _path(chosen["ins"]), "cif": _path(chosen["cif"]), "cell": _cell(chosen["cell"])}
    return {"input": Path(given), **chosen}


def _search(starts: int, iterations: int, seconds: float, seed: int) -> dict[str, Any]:
    from xrdml.phasing.solve import SolveOptions

    return {"search": SolveOptions(starts=starts, iterations=iterations, seed=seed, seconds=seconds)}


def _out(out: str | Path | None, path: Path, ending: str) -> Path:
    return path.with_name(path.stem + ending) if out is None else Path(out)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _cell(cell: CellLike):
    from xrdml.crystal.cell import parse_cell

    if cell is None:
        return None
    return parse_cell(cell.replace(",", " ").split() if isinstance(cell, str) else list(cell))
