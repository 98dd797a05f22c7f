"""`xrdml powder`: simulate powder patterns, one of a CIF or a set of a dataset file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from xrdml.cli import _options
from xrdml.cli._console import say
from xrdml.errors import UserError

if TYPE_CHECKING:
    from xrdml.crystal.structure import Structure
    from xrdml.data.powder_options import PowderOptions

SET_SUFFIXES = (".h5", ".hdf5")

# Each parameter: its value for one pattern, its range for a set, and its meaning.
PARAMETERS = {
    "u": ("0.01", "0:0.02", "Γ_G² = U tan²θ + V tanθ + W, degrees²"),
    "v": ("-0.005", "-0.01:0", "see --u"),
    "w": ("0.005", "0.001:0.02", "see --u"),
    "x": ("0.02", "0.005:0.3", "Γ_L = X / cosθ + Y tanθ, degrees"),
    "y": ("0.02", "0:0.2", "see --x"),
    "axial": ("0.02", "0:0.04", "axial divergence: S/L,H/L, or one number or range for both"),
    "zero": ("0", "-0.05:0.05", "zero shift, degrees 2θ"),
    "peak-counts": ("10000", "300:100000", "expected counts of the highest point above background"),
    "background": (
        "0.02,-0.3,0.1", "0.002:0.3,-0.7:0.1,-0.1:0.4,-0.2:0.1,-0.1:0.1",
        "mean level / peak counts, then Chebyshev coefficients 1, 2, … / level",
    ),
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="crystal.cif|set.h5", help="a structure, or a dataset")
    parser.add_argument(
        "--out", type=Path, metavar="DIR|OUT.h5",
        help="folder for one pattern, file for a set (default: <input>_powder, <input>_powder.h5)",
    )  # fmt: skip
    parser.add_argument("--crystal", type=int, metavar="I", help="only this crystal of a dataset, as files")
    _options.add_seed(parser, "pattern i depends on this and i alone")
    parser.add_argument(
        "--no-noise", dest="noise", action="store_false", help="expected instead of Poisson counts in the .xy"
    )
    scan = parser.add_argument_group("scan")
    scan.add_argument(
        "--radiation", default="CuKa", metavar="NAME|Å",
        help="CuKa (Kα1 and Kα2, default), CuKa1, the same of Mo and Co, or a wavelength",
    )  # fmt: skip
    scan.add_argument(
        "--range", default="5:60:0.02", metavar="start:stop:step", help="degrees 2θ (default 5:60:0.02)"
    )
    scan.add_argument("--monochromator", type=float, metavar="DEGREES", help="its 2θ; graphite and Cu: 26.6")
    shape = parser.add_argument_group(
        "line shape, counts and background",
        "a number, or a range LOW:HIGH to draw from; write negative ones as --zero=-0.1:0.1. "
        "By default fixed for a CIF and drawn for a dataset",
    )
    for name, (single, drawn, text) in PARAMETERS.items():
        shape.add_argument(f"--{name}", metavar="VALUE|LOW:HIGH", help=f"{text} ({single}; set {drawn})")
    sets = parser.add_argument_group("sets")
    _options.add_n(sets, None, "only the first so many crystals")
    _options.add_workers(sets)


def run(args: argparse.Namespace) -> int:
    _options.check_least(args, seed=0, workers=1, n=1, crystal=0)
    is_dataset = args.input.suffix.lower() in SET_SUFFIXES
    if args.crystal is not None and not is_dataset:
        raise UserError("--crystal belongs to a dataset (.h5); leave it out for a CIF")
    if args.n is not None and (not is_dataset or args.crystal is not None):
        raise UserError("--n belongs to a set; leave it out for one pattern")
    options = _pattern_options(args, drawn=is_dataset)
    if is_dataset and args.crystal is None:
        return _make_set(args, options)
    return _make_one(args, options)


def _pattern_options(args: argparse.Namespace, drawn: bool) -> PowderOptions:
    from xrdml.crystal.radiation import Scan
    from xrdml.data.powder_options import PowderOptions, parse_ranges

    given = {}
    for name, defaults in PARAMETERS.items():
        text = getattr(args, name.replace("-", "_"))
        try:
            given[name] = parse_ranges(defaults[drawn] if text is None else text)
        except UserError as error:
            raise UserError(f"--{name} {error}") from None
    axial, (background, *shape) = given.pop("axial"), given.pop("background")
    for name, values in [*given.items(), ("axial", axial[1:])]:
        if len(values) > 1:
            raise UserError(f"--{name}: {len(values) + (name == 'axial')} values are too many")
    ranges = {name.replace("-", "_"): values[0] for name, values in given.items()}
    ranges |= dict(zip(("s_l", "h_l"), axial, strict=False))
    scan = Scan.make(args.radiation, args.range, args.monochromator)
    return PowderOptions(scan, {**ranges, "background": background}, tuple(shape))


def _make_set(args: argparse.Namespace, options: PowderOptions) -> int:
    from xrdml.cli._progress import progress
    from xrdml.crystal.store import StructureStore
    from xrdml.data.powder_set import make_set

    if not args.noise:
        raise UserError("--no-noise belongs to one pattern; leave it out, or choose one by --crystal")
    out = args.out or args.input.with_name(f"{args.input.stem}_powder.h5")
    if out.exists() and out.resolve() == args.input.resolve():
        raise UserError("would overwrite the input; choose another --out", path=out)
    crystals = len(StructureStore(args.input))
    n = crystals if args.n is None else args.n
    if n > crystals:
        raise UserError(f"holds {crystals} crystals, not {n}; give a smaller --n", path=args.input)
    if n == 0:
        raise UserError("holds no crystals", path=args.input)
    started = time.monotonic()
    with progress(n, "patterns") as made:
        added = make_set(out, args.input, n, options, args.seed, workers=args.workers, made=made)
    if not added:
        say(f"{out}: holds {n} patterns or more already; nothing to do")
    else:
        seconds = time.monotonic() - started
        say(f"{out}: {n} patterns ({added} new), {out.stat().st_size / 1e6:.1f} MB, {seconds:.1f} s")
    return 0


def _make_one(args: argparse.Namespace, options: PowderOptions) -> int:
    from xrdml.crystal.files import OnlyRunIn, check_overwriting, writable_directory
    from xrdml.data.powder_files import write_reflections, write_report, write_xy
    from xrdml.data.powder_patterns import make_patterns
    from xrdml.evaluate.powder_figure import draw_powder

    structure = _structure(args)
    stem = args.input.stem if args.crystal is None else f"{args.input.stem}_{args.crystal}"
    out = args.out or args.input.with_name(f"{stem}_powder")
    [pattern] = make_patterns([structure], options, args.seed, [args.crystal or 0])
    names = [f"{stem}.xy", f"{stem}_reflections.csv", f"{stem}.png", "report.json"]
    writable_directory(out)
    check_overwriting(out, names, [args.input])
    title = f"{stem}, {structure.symmetry.short_name}"
    about = {
        "input": str(args.input),
        "crystal": args.crystal,
        "seed": args.seed,
        "noise": args.noise,
        "space_group": structure.symmetry.name,
        "cell": list(structure.cell),
    }
    with OnlyRunIn(out):
        write_xy(out / names[0], options, pattern, title, noise=args.noise)
        write_reflections(out / names[1], options, pattern)
        draw_powder(out / names[2], options.scan, pattern, f"{title}, {options.scan.radiation.name}")
        write_report(out / names[3], options, pattern, about)
    say(
        f"{out}: {len(pattern.counts)} points, {len(pattern.reflections.d)} reflections, "
        f"{pattern.counts.sum():d} counts"
    )
    return 0


def _structure(args: argparse.Namespace) -> Structure:
    from xrdml.crystal.cif import read_structure
    from xrdml.crystal.store import StructureStore

    if args.crystal is None:
        return read_structure(args.input)
    crystals = StructureStore(args.input)
    if args.crystal >= len(crystals):
        raise UserError(
            f"holds {len(crystals)} crystals: --crystal {args.crystal} is none of them", path=args.input
        )
    return crystals[args.crystal]
