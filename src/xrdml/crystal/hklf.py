"""SHELX reflection files: reading HKLF 4 and HKLF 3, writing HKLF 4."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrdml.crystal._hklf_lines import END, Columns, parse_lines
from xrdml.crystal.files import read_text, write_text
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.symmetry import Hkl
from xrdml.errors import UserError

MAX_INDEX = 999
"""Largest |h|, |k| or |l| believed: a 1000 Å axis to 1 Å."""

MAX_F82 = 99999.99
MIN_F82 = -9999.99
SIGMA_MIN = 0.01
"""Smallest σ that F8.2 can hold; 0.00 would count as missing."""


@dataclass(frozen=True)
class Hklf:
    """The HKLF instruction of a SHELX file: how its `.hkl` is meant.

    Attributes
    ----------
    code
        3 (F and σ(F)) or 4 (F² and σ(F²)); others are refused.
    scale, sigma_scale
        F² is multiplied by `scale`, σ by `scale` and `sigma_scale`.
    matrix
        New indices are the rows of this matrix times the old ones.
    """

    code: int = 4
    scale: float = 1.0
    matrix: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    sigma_scale: float = 1.0

    def apply(self, reflections: Reflections) -> Reflections:
        """Scale and transform reflections whose code has been seen to already.

        Raises
        ------
        UserError
            The matrix turns an index into a fraction.
        """
        hkl = reflections.hkl @ np.reshape(self.matrix, (3, 3)).T
        whole = np.rint(hkl)
        bad = (np.abs(hkl - whole) > 0.05).any(1) | (np.abs(whole) > MAX_INDEX).any(1)
        if bad.any():
            i = int(np.argmax(bad))
            raise UserError(
                f"the matrix of the HKLF instruction turns reflection {_show(reflections.hkl[i])} into "
                f"{' '.join(f'{x:.3g}' for x in hkl[i])}; correct the matrix or reindex the data"
            )
        return Reflections(
            whole.astype(np.int32),
            reflections.intensity * self.scale,
            reflections.sigma * self.scale * self.sigma_scale,
        )


def read_hklf4(path: str | Path, *, hklf: int = 4) -> Reflections:
    """Read a SHELX reflection file.

    Takes the fixed format 3I4,2F8.2,I4 (any number of decimals, columns that touch) and free
    format, any line end, and stops at ``0 0 0``. Batch numbers are ignored.

    Parameters
    ----------
    hklf
        3 for a file that holds F and σ(F); they become F|F| and max(2|F|σ, σ²).

    Raises
    ------
    UserError
        Anything that is not a list of intensities with their σ, HKLF 5 among it.
    """
    return parse_hklf(read_text(path), path, hklf=hklf)[0]


def parse_hklf(text: str, path: str | Path, *, hklf: int = 4, first_line: int = 1) -> tuple[Reflections, str]:
    """Reflections of the text of a SHELX reflection file, and what follows them.

    Parameters
    ----------
    text
        Lines ended by ``\\n``.
    path, first_line
        For messages: the file, and the number of the first line of `text` in it.

    Returns
    -------
    reflections
        As in :func:`read_hklf4`.
    trailing
        What follows the terminator: often the `.res`, or CIF items.

    Raises
    ------
    UserError
        See :func:`read_hklf4`.
    """
    check_code(hklf, path)
    columns = parse_lines(text, path, first_line)
    if not len(columns.line):
        raise UserError(
            "no reflections before the terminator 0 0 0; is this the right file?", path=path, line=first_line
        )
    _refuse_hklf5(columns, path)
    reflections = make_reflections(
        columns.hkl, columns.intensity, columns.sigma, path, hklf=hklf, lines=columns.line
    )
    return reflections, columns.trailing


def make_reflections(
    hkl: Hkl,
    intensity: NDArray[np.float64],
    sigma: NDArray[np.float64],
    path: str | Path,
    *,
    hklf: int = 4,
    lines: NDArray[np.intp] | None = None,
) -> Reflections:
    """Check what was read, and turn F into F² where `hklf` is 3.

    Parameters
    ----------
    hkl, intensity, sigma
        (n, 3), (n,), (n,) with n ≥ 1; finite. For HKLF 3, F and σ(F).
    path, lines
        For messages: the file, and the line of each reflection.

    Raises
    ------
    UserError
        Absurd indices, no positive intensity, or no positive σ.
    """
    where = np.full(len(hkl), 0) if lines is None else lines
    bad = (np.abs(hkl) > MAX_INDEX).any(1)
    i = int(np.argmax(bad))
    if bad.any():
        problem = f"indices {_show(hkl[i])} are beyond {MAX_INDEX}; check the columns of h, k and l"
    elif not (intensity > 0).any():
        problem = "no intensity is positive; give F² and σ(F²), or F and σ(F) as HKLF 3"
    elif not (sigma > 0).any():
        problem = "no σ is positive; σ(F²) is needed beside each F²"
    else:
        if hklf == 3:
            # σ² is what is left of the σ of F² where F is next to nothing.
            squared_sigma = np.maximum(2 * np.abs(intensity) * sigma, sigma**2)
            sigma = np.where(sigma > 0, squared_sigma, sigma)
            intensity = intensity * np.abs(intensity)
        return Reflections(hkl, intensity, sigma)
    raise UserError(problem, path=path, line=int(where[i]) or None)


def check_code(code: int, path: str | Path | None = None, line: int | None = None) -> None:
    """Raise UserError for an HKLF code whose data cannot be used."""
    if code in (3, 4):
        return
    if code == 5:
        raise UserError(_HKLF5, path=path, line=line)
    raise UserError(
        f"HKLF {code} is not supported; write F² and σ of single reflections as HKLF 4", path=path, line=line
    )


_HKLF5 = (
    "HKLF 5: overlapped reflections of a twin cannot be merged; "
    "write HKLF 4 (detwinned, or of the main component alone) with the integration program"
)


def _refuse_hklf5(columns: Columns, path: str | Path) -> None:
    """Negative numbers in columns 29-32 say HKLF 5, unless they are the −1 flags of R(free).

    In HKLF 5 a component number is negative on all but the last line of an overlap group, and the
    lines of a group repeat the intensity and σ.
    """
    negative = np.flatnonzero(columns.batch < 0)
    if not len(negative):
        return
    following = np.minimum(negative + 1, len(columns.batch) - 1)
    values = np.stack([columns.intensity, columns.sigma], 1)
    repeats = (values[negative] == values[following]).all(1) & (negative < following)
    if (columns.batch[negative] < -1).any() or repeats.mean() > 0.5:
        i = negative[0]
        raise UserError(
            f"number {columns.batch[i]} in columns 29-32 is {_HKLF5}", path=path, line=int(columns.line[i])
        )


def write_hklf4(path: str | Path, hkl: Hkl, intensity: ArrayLike, sigma: ArrayLike) -> float:
    """Write F² and σ as HKLF 4, 3I4,2F8.2,I4 with batch number 1, ended by ``0 0 0``.

    Values come out as they went in, within 0.005, unless they do not fit: where one would overflow
    its eight columns, or where the largest intensity is below 10 and rounding to 0.01 would spoil
    the data, all are multiplied by a power of ten. σ is at least 0.01.

    Parameters
    ----------
    hkl
        (n, 3), without 0 0 0, which would end the list.
    intensity, sigma
        (n,), finite.

    Returns
    -------
    float
        The factor that intensities and σ were multiplied with; 1 in the usual case.

    Raises
    ------
    ValueError
        Indices or values that no HKLF 4 file can hold.
    UserError
        The file cannot be written.
    """
    hkl = np.asarray(hkl)
    intensity = np.asarray(intensity, dtype=np.float64)
    sigma = np.asarray(sigma, dtype=np.float64)
    Reflections(hkl, intensity, sigma)  # checks the shapes
    if not (np.isfinite(intensity).all() and np.isfinite(sigma).all()):
        raise ValueError("intensities and sigmas must be finite")
    if (np.abs(hkl) > MAX_INDEX).any() or not hkl.any(1).all():
        raise ValueError(f"indices must lie within ±{MAX_INDEX} and not be 0 0 0")
    scale = _scale(intensity, sigma)
    # + 0.0 turns -0.00 into 0.00
    f_squared = np.round(intensity * scale, 2) + 0.0
    uncertainty = np.maximum(np.round(sigma * scale, 2), SIGMA_MIN)
    rows = zip(*hkl.T.tolist(), f_squared.tolist(), uncertainty.tolist(), strict=True)
    lines = [f"{h:4d}{k:4d}{l:4d}{i:8.2f}{s:8.2f}   1\n" for h, k, l, i, s in rows]
    write_text(path, "".join(lines) + END)
    return scale


def _scale(intensity: NDArray, sigma: NDArray) -> float:
    """The power of ten by which data are multiplied to fit F8.2; 1 where they fit."""
    if not len(intensity):
        return 1.0
    # What each value would be if the limits for both signs were the same.
    largest = max(intensity.max(), sigma.max(), intensity.min() * MAX_F82 / MIN_F82)
    if largest > MAX_F82:
        return float(10.0 ** -np.ceil(np.log10(largest / MAX_F82)))
    strongest = intensity.max()
    if 0 < strongest < 10:
        # Strongest between 1000 and 10000, as integration programs have it, unless a σ forbids.
        wanted = 3 - np.floor(np.log10(strongest))
        return float(10.0 ** max(0.0, min(wanted, np.floor(np.log10(MAX_F82 / largest)))))
    return 1.0


def _show(hkl: NDArray) -> str:
    return " ".join(str(int(x)) for x in hkl)
