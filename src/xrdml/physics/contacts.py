"""How close atoms of different molecules come: radii, hydrogen bonds, volumes."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

# Kinds of atoms. POLAR_H sits on N or O; N_DONOR and O_DONOR bear one.
PAD, H, POLAR_H, C, N, N_DONOR, O, O_DONOR, F, SI, P, S, CL, BR, I = range(15)
_KIND = {1: H, 6: C, 7: N, 8: O, 9: F, 14: SI, 15: P, 16: S, 17: CL, 35: BR, 53: I}
ELEMENTS = tuple(_KIND)
"""Atomic numbers that can be packed."""

# Half the distances in Å at which molecules of published crystals begin to touch (H at X-ray positions).
_RADIUS = {H: 1.22, POLAR_H: 1.15, C: 1.74, N: 1.66, N_DONOR: 1.66, O: 1.54, O_DONOR: 1.54,
           F: 1.47, SI: 2.10, P: 1.90, S: 1.82, CL: 1.76, BR: 1.86, I: 2.00}  # fmt: skip
_HYDROGEN_BOND = 1.90
_DONOR_ACCEPTOR = 2.78
# What is too close for a crystal lies this much under the touching distance; softer where H is involved.
_MARGIN, _MARGIN_H = 0.33, 0.40

_VOLUME = {
    1: 5.08,
    6: 13.87,
    7: 11.8,
    8: 11.39,
    9: 11.17,
    14: 37.3,
    15: 29.5,
    16: 25.2,
    17: 25.8,
    35: 32.7,
    53: 46.2,
}


N_KINDS = I + 1


@cache
def touching_distance() -> Tensor:
    """Distances in Å at which two kinds begin to touch, (15, 15); 0 with padding."""
    table = torch.zeros(N_KINDS, N_KINDS)
    for a, radius in _RADIUS.items():
        for b, other in _RADIUS.items():
            table[a, b] = radius + other
    acceptors, donors = (N, O, N_DONOR, O_DONOR), (N_DONOR, O_DONOR)
    for acceptor in acceptors:
        table[POLAR_H, acceptor] = table[acceptor, POLAR_H] = _HYDROGEN_BOND
        for donor in donors:
            table[donor, acceptor] = table[acceptor, donor] = _DONOR_ACCEPTOR
    return table


@cache
def closest_distance() -> Tensor:
    """Distances in Å under which a pair of two kinds is a bad contact, (15, 15)."""
    margin = torch.full((N_KINDS, N_KINDS), _MARGIN)
    margin[[H, POLAR_H]] = margin[:, [H, POLAR_H]] = _MARGIN_H
    table = touching_distance()
    return (table - margin).clamp_min(0) * (table > 0)


@cache
def _element_tables() -> tuple[Tensor, Tensor]:
    kinds, volumes = torch.full((99,), PAD), torch.zeros(99)
    for z, kind in _KIND.items():
        kinds[z], volumes[z] = kind, _VOLUME[z]
    return kinds, volumes


def atom_volumes(numbers: Tensor) -> Tensor:
    """Mean volume in Å³ that an atom takes up in organic crystals, (...) → (...); 0 for padding.

    Source: D. W. M. Hofmann, Acta Cryst. B58 (2002) 489.
    """
    return _element_tables()[1].to(numbers.device)[numbers]


def atom_kinds(numbers: Tensor, positions: Tensor) -> Tensor:
    """Kinds of the atoms of molecules, (B, N), from atomic numbers (B, N) and coordinates in Å (B, N, 3)."""
    kinds = _element_tables()[0].to(numbers.device)[numbers]
    distance = torch.cdist(positions, positions)
    distance = distance.masked_fill((numbers <= 1)[:, None, :], torch.inf)
    bearer = distance.argmin(2)
    bearer_kind = kinds.gather(1, bearer)
    polar = (numbers == 1) & ((bearer_kind == N) | (bearer_kind == O))
    kinds = torch.where(polar, POLAR_H, kinds)
    bears = torch.zeros_like(kinds).scatter_add_(1, bearer, polar.long()) > 0
    return kinds + (bears & ((kinds == N) | (kinds == O))).long()
