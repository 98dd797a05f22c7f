"""What a measurement does to calculated intensities: each effect by option, for batches on any device.

The order is that of nature: anomalous scattering, extinction, scale, counting; then the reflections that the
beam stop or the range of rotation leaves out are missing. All random numbers come from the generator
that is passed in, so that a result is a pure function of its seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.scattering import MAX_ATOMIC_NUMBER, it92_table
from xrdml.errors import UserError

BACKGROUND, COUNTING, INSTRUMENT = 0.006, 3.4e-4, 0.010
"""σ²(I) = (BACKGROUND · (s/s₀)^STEEPNESS)² + COUNTING · I + (INSTRUMENT · I)² of merged intensities, all in
units of ⟨I⟩ to 1 Å, s₀ = 0.5 Å⁻¹: medians over the 17 measured crystals of shared/data."""
STEEPNESS = 1.4
"""Weak reflections: the background, divided by the Lorentz factor, has 2.8 times the σ at 0.85 Å that it
has at 1.8 Å."""
SPREADS = (0.7, 1.1, 0.5)
"""Spread of the logarithms of the three terms over the same crystals, from their quartiles."""
D_REFERENCE = 1.0
_LIGHTEST_ANOMALOUS = 3


@dataclass(frozen=True)
class MeasurementOptions:
    """Strengths of the effects; the defaults leave the calculated intensities as they are.

    Attributes
    ----------
    noise
        Factor on the σ(I) of real data: 1 for data like those, 0 for none. Each crystal draws its own
        background, counting and instrument terms.
    beam_stop
        d in Å: each crystal loses the reflections beyond a limit that is at least this (s_min uniform
        from 0 to 1/(2 · beam_stop)); 0 for none.
    wedge
        Degrees of rotation about a random axis that were not measured; 0 for none.
    scale
        Spread of ln k of the overall scale k of the intensities.
    extinction
        Largest SHELXL parameter x of EXTI; each crystal draws one from 0 to this.
    anomalous
        Whether f' and f'' count.
    wavelength
        Å, for extinction and anomalous scattering.
    """

    noise: float = 0.0
    beam_stop: float = 0.0
    wedge: float = 0.0
    scale: float = 0.0
    extinction: float = 0.0
    anomalous: bool = False
    wavelength: float = 0.71073

    def __post_init__(self) -> None:
        for name in ("noise", "beam_stop", "scale", "extinction"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise UserError(f"data.measurement.{name}={value:g} must be 0 (off) or positive")
        if not 0 <= self.wedge < 180:
            raise UserError(f"data.measurement.wedge={self.wedge:g} must be at least 0 and below 180 degrees")
        if not 0.2 <= self.wavelength <= 3:
            raise UserError(f"data.measurement.wavelength={self.wavelength:g} must lie between 0.2 and 3 Å")

    @property
    def is_on(self) -> bool:
        """Whether any effect is."""
        return self.anomalous or any((self.noise, self.beam_stop, self.wedge, self.scale, self.extinction))


@lru_cache(maxsize=8)
def anomalous_factors(wavelength: float) -> NDArray[np.float64]:
    """f' and f'' in electrons by atomic number, (99, 2): Cromer & Liberman's, as gemmi has them.

    Zero for hydrogen, helium and what lies beyond uranium, which they did not calculate.
    """
    energy = gemmi.hc / wavelength
    found = np.zeros((MAX_ATOMIC_NUMBER + 1, 2))
    for z in range(_LIGHTEST_ANOMALOUS, 93):
        found[z] = gemmi.cromer_liberman(z, energy)
    return found


@lru_cache(maxsize=8)
def scattering_tables(wavelength: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tables like :func:`xrdml.crystal.scattering.it92_table` of f + f' and of f''.

    With A and C the structure factors of the two, |F(h)|² = |A + iC|² and |F(−h)|² = |A − iC|², so that the
    mean of a Friedel pair is |A|² + |C|².
    """
    real, imaginary = it92_table().copy(), np.zeros_like(it92_table())
    real[:, 8] += anomalous_factors(wavelength)[:, 0]
    imaginary[:, 8] = anomalous_factors(wavelength)[:, 1]
    return real, imaginary


def extinction(intensity: Tensor, s2: Tensor, x: Tensor, wavelength: float) -> Tensor:
    """Factors of the intensity, (B, M): SHELXL's EXTI, |F| · (1 + 0.001 x |F|² λ³ / sin 2θ)^(−1/4).

    Parameters
    ----------
    intensity
        |F|² in electrons², (B, M).
    s2
        s² = (sin θ / λ)² in Å⁻², (B, M).
    x
        The parameter of each crystal, (B,).
    """
    # sin² θ, away from where sin 2θ is 0 in float32: there is no reflection there.
    sine = (wavelength**2 * s2).clamp(1e-6, 1 - 1e-6)
    sine_2theta = 2 * (sine * (1 - sine)).sqrt()
    return (1 + 0.001 * x[:, None] * intensity * wavelength**3 / sine_2theta).rsqrt()


def sigma(intensity: Tensor, s2: Tensor, reference: Tensor, terms: Tensor) -> Tensor:
    """σ(I) of merged intensities, (B, M), on their scale.

    Parameters
    ----------
    intensity, s2
        I and s² in Å⁻², (B, M).
    reference
        ⟨I⟩ of the reflections to 1 Å, (B,).
    terms
        Background, counting and instrument term of each crystal in units of ⟨I⟩, (B, 3).
    """
    unit = reference[:, None].clamp_min(torch.finfo(intensity.dtype).tiny)
    relative = intensity / unit
    background, counting, instrument = (terms[:, n, None] for n in range(3))
    background = background * (4 * s2) ** (STEEPNESS / 2)
    return unit * (background**2 + counting * relative + (instrument * relative) ** 2).sqrt()


def outside_wedge(hkl: Tensor, metric: Tensor, rotations: Tensor, frame: Tensor, wedge: float) -> Tensor:
    """Reflections of which at least one symmetry equivalent was measured, (B, M) bool.

    The crystal turned about frame[0]; reflections within wedge/2 of frame[1], seen along that axis, were
    never reached, nor were their Friedel mates opposite.

    Parameters
    ----------
    hkl
        Miller indices, (M, 3).
    metric
        G* in Å⁻², (B, 3, 3).
    rotations
        Of the space group, with or without inversion, (B, S, 3, 3); zero matrices are padding.
    frame
        Orthonormal axes as rows, (B, 3, 3).
    wedge
        Degrees.
    """
    to_cartesian = torch.linalg.cholesky(metric)  # G* = L Lᵀ, so |h L| = 1/d
    directions = to_cartesian @ frame[:, 1:].transpose(1, 2)  # (B, 3, 2)
    along, across = (hkl.to(metric.dtype) @ (rotations @ directions[:, None])).unbind(-1)  # (B, S, M)
    reached = across.abs() >= float(np.tan(np.radians(wedge / 2))) * along.abs()
    # A reflection on the axis itself is in no wedge, and neither is what padding makes of one.
    return (reached & rotations.any(-1).any(-1)[..., None]).any(1)


def random_frame(n: int, generator: torch.Generator) -> Tensor:
    """Orthonormal axes of random orientation, (n, 3, 3)."""
    q, r = torch.linalg.qr(torch.randn(n, 3, 3, generator=generator, device=generator.device))
    return q * r.diagonal(dim1=1, dim2=2).sign()[:, None]


@dataclass(frozen=True)
class Measured:
    """Merged intensities as measured.

    Attributes
    ----------
    intensity, sigma
        On the crystal's own scale, (B, M); noise makes weak intensities negative.
    observed
        Neither behind the beam stop nor in the wedge, (B, M) bool.
    """

    intensity: Tensor
    sigma: Tensor
    observed: Tensor

    @property
    def amplitude(self) -> Tensor:
        """|F| = √I, 0 where I is negative, as :class:`xrdml.crystal.problem.FillProblem` has it."""
        return self.intensity.clamp_min(0).sqrt()


def measure(
    intensity: Tensor,
    hkl: Tensor,
    s2: Tensor,
    reflections: Tensor,
    metric: Tensor,
    rotations: Tensor,
    options: MeasurementOptions,
    generator: torch.Generator,
) -> Measured:
    """Apply everything but anomalous scattering, which belongs to the structure factors.

    Parameters
    ----------
    intensity
        Calculated |F|² of Laue-unique reflections in electrons², Friedel mates merged, (B, M).
    hkl, s2
        Miller indices (M, 3), and s² in Å⁻², (B, M).
    reflections
        Which of them are reflections, (B, M) bool.
    metric, rotations
        G* (B, 3, 3) in Å⁻² and the rotations of the space groups (B, S, 3, 3), zeros as padding.
    generator
        On the device of the tensors; always asked for the same numbers, so that one effect does not change
        another.
    """
    n, device = len(intensity), generator.device
    x, s_min = torch.rand(2, n, generator=generator, device=device)
    normal = torch.randn(4, n, generator=generator, device=device)
    frame = random_frame(n, generator)
    error = torch.randn(intensity.shape, generator=generator, device=device)

    if options.extinction:
        intensity = intensity * extinction(intensity, s2, x * options.extinction, options.wavelength)
    intensity = intensity * torch.exp(normal[3] * options.scale)[:, None]
    strong = reflections & (s2 <= 1 / (4 * D_REFERENCE**2))
    reference = (intensity * strong).sum(1) / strong.sum(1).clamp_min(1)
    medians = torch.tensor([BACKGROUND, COUNTING, INSTRUMENT], device=device)
    terms = medians * torch.exp(normal[:3].T * torch.tensor(SPREADS, device=device))
    uncertainty = options.noise * sigma(intensity, s2, reference, terms)

    observed = reflections
    if options.beam_stop:
        observed = observed & (s2.sqrt() >= (s_min / (2 * options.beam_stop))[:, None])
    if options.wedge:
        observed = observed & outside_wedge(hkl, metric, rotations, frame.to(metric.dtype), options.wedge)
    return Measured(intensity + uncertainty * error, uncertainty, observed)
