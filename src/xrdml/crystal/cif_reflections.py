"""Reflections that travel inside a CIF: embedded SHELX files and _refln_ loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gemmi import cif

from xrdml.crystal.cif import first_text, hklf_of, read_document
from xrdml.crystal.hklf import Hklf, make_reflections, parse_hklf
from xrdml.crystal.reflections import Reflections
from xrdml.errors import UserError

_HKL_TEXT = ("_shelx_hkl_file", "_iucr_refine_reflections_details")
_FCF_TEXT = ("_shelx_fcf_file", "_iucr_refine_fcf_details")
_COLUMNS = (
    ("_refln_f_squared_meas", "_refln_f_squared_sigma", 4),
    ("_refln_intensity_meas", "_refln_intensity_sigma", 4),
    ("_refln_f_meas", "_refln_f_sigma", 3),
)
_INDICES = ("_refln_index_h", "_refln_index_k", "_refln_index_l")


def read_cif_reflections(path: str | Path) -> Reflections:
    """Reflections of the first block that holds any.

    Looked for, in this order: an embedded `.hkl` (read as the HKLF instruction of the embedded
    `.res` says), a ``_refln_`` loop with F², intensity or F and its σ, and an embedded `.fcf`.

    Raises
    ------
    UserError
        No reflections, or reflections that cannot be used.
    """
    document = read_document(path)
    for block in document:
        reflections = _of_block(block, path)
        if reflections is not None:
            return reflections
    raise UserError(
        "this CIF holds no reflections (_shelx_hkl_file or a _refln_ loop); give the .hkl file", path=path
    )


def _of_block(block: cif.Block, path: str | Path) -> Reflections | None:
    text, line = _embedded(block, _HKL_TEXT)
    if text:
        hklf = hklf_of(block, path) or Hklf()
        return hklf.apply(parse_hklf(text, path, hklf=hklf.code, first_line=line)[0])
    if block.find_loop(_INDICES[0]):
        return _of_loop(block, path)
    text, line = _embedded(block, _FCF_TEXT)
    for inner in read_document(path, text, line) if text else ():
        if inner.find_loop(_INDICES[0]):
            return _of_loop(inner, path)
    return None


def _embedded(block: cif.Block, tags: tuple[str, ...]) -> tuple[str, int]:
    """Text of the first of the tags that holds a file, and the line it starts on."""
    for tag in tags:
        text, item = first_text(block, (tag,)), block.find_pair_item(tag)
        if text and item:
            # The text of a multi-line value starts on the line after its tag, behind the ';'.
            return text, item.line_number + ("\n" in text)
    return "", 0


def _of_loop(block: cif.Block, path: str | Path) -> Reflections:
    present = [c for c in _COLUMNS if block.find_loop(c[0]) and block.find_loop(c[1])]
    if not present:
        raise UserError(
            f"data_{block.name}: the _refln_ loop lacks _refln_F_squared_meas with _refln_F_squared_sigma "
            "(or intensity, or F); give measured values with their σ",
            path=path,
        )
    value, sigma, code = present[0]
    columns = [_numbers(block, tag) for tag in (*_INDICES, value, sigma)]
    if len({len(c) for c in columns}) > 1:
        raise UserError(f"data_{block.name}: the _refln_ columns stand in different loops", path=path)
    table = np.stack(columns, 1)
    # '?' stands for what was not measured, and 0 0 0 cannot be.
    table = table[np.isfinite(table[:, 3:]).all(1) & (table[:, :3] != 0).any(1)]
    hkl = table[:, :3]
    if not len(table) or not (hkl == np.rint(hkl)).all() or (np.abs(hkl) > 1e6).any():
        raise UserError(f"data_{block.name}: no reflections with whole-number indices", path=path)
    f, s = np.ascontiguousarray(table[:, 3:].T)
    return make_reflections(hkl.astype(np.int32), f, s, path, hklf=code)


def _numbers(block: cif.Block, tag: str) -> np.ndarray:
    return np.array([cif.as_number(v) for v in block.find_values(tag)], dtype=np.float64)
