"""Lines of a SHELX reflection file to columns of numbers, a million in a second or two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrdml.errors import UserError

FIELDS = ((0, 4), (4, 8), (8, 12), (12, 20), (20, 28), (28, 32))
"""Columns of h, k, l, F², σ and the batch number in 3I4,2F8.2,I4."""

WIDTH = 32
END = "   0   0   0    0.00    0.00   0\n"
BLOCK = 1 << 22
"""Characters looked at together."""

LONGEST_LINE = 400
LARGEST_VALUE = 1e30
"""Free format could hold more, and squares of it would overflow."""

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Columns:
    """What stands before the terminator, one entry a reflection.

    Attributes
    ----------
    hkl
        (n, 3) int32.
    intensity, sigma
        (n,) float64: columns 13-20 and 21-28.
    batch
        (n,): columns 29-32, 0 where blank.
    line
        Line number in the file, (n,).
    trailing
        The text after the terminator.
    """

    hkl: NDArray[np.int32]
    intensity: NDArray[np.float64]
    sigma: NDArray[np.float64]
    batch: NDArray[np.int64]
    line: NDArray[np.intp]
    trailing: str


def parse_lines(text: str, path: str | Path, first_line: int = 1) -> Columns:
    """Take `text` apart up to the first ``0 0 0``, or to its end where there is none.

    A line is read as fixed format if its columns allow, else as free format; blank lines are
    passed over.

    Raises
    ------
    UserError
        A line that is neither.
    """
    values, numbers = [np.zeros((0, len(FIELDS)))], [np.zeros(0, dtype=np.intp)]
    position, line, terminated = 0, first_line, False
    while position < len(text) and not terminated:
        # Blocks bound the memory, and what follows the terminator is not looked at.
        end = text.find("\n", min(position + BLOCK, len(text))) + 1 or len(text)
        rows, kept, stop, terminated = _parse_block(text[position:end], path, line)
        values.append(rows)
        numbers.append(kept)
        position, line = (position + stop if terminated else end), line + text.count("\n", position, end)
    table = np.concatenate(values)
    return Columns(
        table[:, :3].astype(np.int32),
        np.ascontiguousarray(table[:, 3]),
        np.ascontiguousarray(table[:, 4]),
        table[:, 5].astype(np.int64),
        np.concatenate(numbers),
        text[position:],
    )


def _parse_block(
    text: str, path: str | Path, first_line: int
) -> tuple[NDArray[np.float64], NDArray[np.intp], int, bool]:
    """Rows (n, 6), their line numbers (n,), where in `text` the terminator ends, and if there is one."""
    # One byte a character, so that columns stay columns, whatever stands in them.
    data = np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8)
    end = np.append(np.flatnonzero(data == ord("\n")), len(data))
    start = np.concatenate([[0], end[:-1] + 1])
    line_number = first_line + np.flatnonzero(end > start)
    start, end = start[end > start], end[end > start]
    table = _pad(data, start, end)
    values, fits = _parse_fixed(table)
    blank = ((table == ord(" ")) | (table == ord("\t"))).all(1)

    at_end = np.flatnonzero(fits & (values[:, :3] == 0).all(1))
    terminated = len(at_end) > 0
    stop = int(at_end[0]) if terminated else len(start)
    for i in np.flatnonzero(~fits[:stop] & ~blank[:stop]).tolist():
        line = text[start[i] : min(end[i], start[i] + LONGEST_LINE)]
        try:
            row = _parse_free(line)
        except ValueError as error:
            raise UserError(_explain(line, str(error)), path=path, line=int(line_number[i])) from None
        if not any(row[:3]):
            stop, terminated = i, True
            break
        values[i], fits[i] = row, True
    kept = np.flatnonzero(fits[:stop])
    return values[kept], line_number[kept], int(end[stop]) + 1 if terminated else len(text), terminated


def _pad(data: Bytes, start: NDArray[np.intp], end: NDArray[np.intp]) -> Bytes:
    """The first 32 characters of each line, (n, 32), filled with blanks."""
    table = np.full((len(start), WIDTH), ord(" "), dtype=np.uint8)
    for column in range(WIDTH):
        position = start + column
        inside = position < end
        table[inside, column] = data[position[inside]]
    return table


def _parse_fixed(table: Bytes) -> tuple[NDArray[np.float64], Flags]:
    """Numbers of all lines in fixed format, (n, 6), and which lines are in it, (n,)."""
    values = np.zeros((len(table), len(FIELDS)))
    fits = np.ones(len(table), dtype=bool)
    for i, (first, last) in enumerate(FIELDS):
        field = table[:, first:last]
        value, valid, empty = _parse_field(field, decimals=i in (3, 4))
        fits &= (valid | empty) if i == 5 else valid
        values[:, i] = np.where(valid, value, 0)
        if first:
            # Fortran writes flush right: only a field that is full can touch its neighbour. Without
            # this a free-format number that crosses the border would be cut in two.
            touches = (table[:, first - 1] != ord(" ")) & (field[:, 0] != ord(" "))
            fits &= ~touches | (field != ord(" ")).all(1)
    return values, fits


def _parse_field(field: Bytes, decimals: bool) -> tuple[NDArray[np.float64], Flags, Flags]:
    """One number a row: values (n,), which rows hold exactly one number, and which are blank."""
    n = len(field)
    mantissa = np.zeros(n)
    power = np.zeros(n, dtype=np.int64)
    begun, digits, point, closed, negative, wrong = (np.zeros(n, dtype=bool) for _ in range(6))
    for character in field.T:
        is_blank = character == ord(" ")
        digit = character - np.uint8(ord("0"))  # wraps around for what lies below "0"
        is_digit = digit <= 9
        is_sign = (character == ord("-")) | (character == ord("+"))
        is_point = character == ord(".")
        wrong |= closed & ~is_blank
        wrong |= ~(is_blank | is_digit | is_sign | (is_point & decimals))
        wrong |= (is_sign & begun) | (is_point & point)
        closed |= begun & is_blank
        begun |= ~is_blank
        negative |= character == ord("-")
        mantissa = np.where(is_digit, mantissa * 10 + digit, mantissa)
        power += is_digit & point
        digits |= is_digit
        point |= is_point
    # Both are exact, so the quotient is the nearest double: what float() gives.
    value = mantissa / 10.0**power
    return np.where(negative, -value, value), digits & ~wrong, ~begun


def _parse_free(line: str) -> tuple[float, ...]:
    """h, k, l, F², σ, batch of a line in free format, or of one with exponents in fixed format.

    Raises
    ------
    ValueError
        With the reason, in words for the user.
    """
    tokens = line.replace(",", " ").split()
    fixed = [line[a:b].strip() for a, b in FIELDS]
    # Python reads 1_000 and digits of other scripts as numbers.
    for parts in (tokens, fixed) if line.isascii() and "_" not in line else ():
        try:
            return _numbers(parts)
        except _Unusable:
            raise
        except ValueError:
            continue
    raise ValueError("is not a reflection; each line needs h, k, l, F² and σ, and a line 0 0 0 ends the list")


class _Unusable(ValueError):
    """A line that is a reflection, with a value that cannot be used."""


def _numbers(parts: list[str]) -> tuple[float, ...]:
    h, k, l = (_integer(p) for p in parts[:3])
    if h == k == l == 0:
        return (0.0,) * 6
    if len(parts) > 3 and "*" in "".join(parts[3:5]):
        raise _Unusable(
            "holds asterisks: a number too large for its column; scale the data down and write again"
        )
    if len(parts) < 5 or not parts[4]:
        if len(parts) < 4 or not parts[3]:
            raise _Unusable("has no intensity; each line needs h, k, l, F² and σ")
        float(parts[3])
        raise _Unusable("has no σ; each line needs h, k, l, F² and σ")
    intensity, sigma = (float(p) for p in parts[3:5])
    if not (math.isfinite(intensity) and math.isfinite(sigma)):
        raise _Unusable("holds a value that is not a number; remove the line or measure again")
    if max(abs(intensity), abs(sigma)) > LARGEST_VALUE:
        raise _Unusable(f"holds a value above {LARGEST_VALUE:g}; scale the data down")
    batch = _integer(parts[5]) if len(parts) > 5 and parts[5] else 0
    return (float(h), float(k), float(l), intensity, sigma, float(batch))


def _integer(token: str) -> int:
    if len(token) > 9:
        raise ValueError(token)
    return int(token)


def _explain(line: str, reason: str) -> str:
    shown = line.strip().replace("\t", " ")
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    shown = "".join(c if c.isprintable() else "?" for c in shown)
    return f"'{shown}' {reason}"
