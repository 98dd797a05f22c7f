"""The keys of a batch: a plain dict of tensors over B crystals on one grid of shape (H, K, L).

Four masks share out the grid: MEASURED, PREDICT, ABSENT, and the rest, which is outside d_min_high
or no Laue-unique reflection. Zero is a value, never a mask.
"""

# Amplitudes are divided by F_SCALE, so that the largest measured one is 1.

# (B,H,K,L) float32 | |F|/F_SCALE of the measured reflections, 0 elsewhere
F_INPUT = "f_input"
# (B,H,K,L) float32 | |F|/F_SCALE of every reflection in KNOWN, 0 elsewhere
F_TARGET = "f_target"
# (B,) float32 | largest measured |F|, in electrons if calculated, on the file's scale if measured
F_SCALE = "f_scale"

# (B,H,K,L) bool | unique reflections whose |F| is given
MEASURED = "measured"
# (B,H,K,L) bool | unique reflections with d ≥ d_min_high whose |F| is to be predicted
PREDICT = "predict"
# (B,H,K,L) bool | unique positions with d ≥ d_min_high that are systematic absences
ABSENT = "absent"
# (B,H,K,L) bool | MEASURED or PREDICT, where F_TARGET holds the truth
KNOWN = "known"

# (B,H,K,L) bool | the phase can take two values only
CENTRIC = "centric"
# (B,H,K,L) float32 | ε of ⟨|F|²⟩ = ε Σf², centring counted
EPSILON = "epsilon"
# (B,H,K,L) float32 | s = sinθ/λ = 1/2d in Å⁻¹, at every position
S = "s"

# (B,6) float32 | a, b, c in Å; α, β, γ in degrees
CELL = "cell"
# list of B str | extended Hermann–Mauguin symbols
SPACE_GROUP = "space_group"
# HklGrid | the Miller indices of H, K, L
GRID = "grid"
