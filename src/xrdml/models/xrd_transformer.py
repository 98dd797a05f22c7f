"""The thesis' transformer: one token for each reflection."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xrdml.crystal.grid import HklGrid
from xrdml.errors import UserError
from xrdml.models.layout import Layout

EMBEDDINGS = ("onehot", "mlp")
TOKENS = ("all", "sphere")


class XRDTransformer(nn.Module):
    """Pre-norm transformer over the positions of a tensor.

    A token is the embedding of (h, k, l) plus a linear projection of the input channels. Width
    128, the thesis' grid and one channel have 0.995 M parameters, the thesis' number.

    Parameters
    ----------
    in_channels
        Input tensors a crystal.
    width
        Length of a token; a multiple of `heads`.
    blocks, heads
        Of attention.
    dropout
        Share of values dropped in training.
    embedding
        ``onehot``: h, k and l are each projected to a third of the token and put side by side.
        ``mlp``: two layers from (h, k, l).
    tokens
        ``all`` positions of the tensor, as in the thesis, or only those in the ``sphere`` of the
        crystal (Laue-unique, d ≥ d_min_high): about a seventh of them, and a fiftieth of the time.
        The output is zero elsewhere.
    grid
        The h, k, l that the one-hot embedding knows.
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 128,
        blocks: int = 5,
        heads: int = 4,
        dropout: float = 0.1,
        embedding: str = "onehot",
        tokens: str = "all",
        grid: str = "-13:12,0:17,0:22",
    ):
        super().__init__()
        for name, value, known in (("embedding", embedding, EMBEDDINGS), ("tokens", tokens, TOKENS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}")
        if width < 1 or width % heads:
            raise ValueError("width must be a multiple of heads")
        self.tokens = tokens
        box = HklGrid.parse(grid)
        self.place: nn.Module = _OneHot(width, box) if embedding == "onehot" else _Mlp(width, box)
        self.project = nn.Linear(in_channels, width)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """(B, C, H, K, L) → (B, H, K, L), any H, K, L within the embedding's grid."""
        shape = x.shape[-3:]
        hkl = _indices(layout.lower, shape, x.device)
        values = x.flatten(2).transpose(1, 2)
        if self.tokens == "all":
            return self._attend(values, hkl, None).reshape(-1, *shape)
        inside = layout.sphere.flatten(1)
        count = inside.sum(1)
        # The positions inside come first; crystals with fewer than the most are masked at the end.
        order = (~inside).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(count.max())]
        used = torch.arange(order.shape[1], device=x.device) < count[:, None]
        packed = values.gather(1, order[..., None].expand(-1, -1, values.shape[2]))
        predicted = self._attend(packed, hkl[order], None if bool(used.all()) else used)
        out = predicted.new_zeros(inside.shape).scatter(1, order, predicted * used)
        return out.reshape(-1, *shape)

    def _attend(self, values: Tensor, hkl: Tensor, used: Tensor | None) -> Tensor:
        """Channels (B, N, C) at hkl (N, 3) or (B, N, 3) → (B, N); tokens not `used` are not attended to."""
        token = self.drop(self.place(hkl) + self.project(values))
        mask = None if used is None else used[:, None, None, :]
        for block in self.blocks:
            token = block(token, mask)
        return self.out(self.norm(token))[..., 0]


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        x = x + self.drop(self.proj(seen.transpose(1, 2).flatten(2)))
        return x + self.mlp(self.norm2(x))


class _OneHot(nn.Module):
    """A row of a table each for h, k and l: what a linear map of a one-hot vector is."""

    def __init__(self, width: int, box: HklGrid):
        super().__init__()
        self.box = box
        third = width // 3
        parts = (third, (width - third) // 2, width - third - (width - third) // 2)
        self.tables = nn.ModuleList(nn.Embedding(n, p) for n, p in zip(box.shape, parts, strict=True))
        for table in self.tables:
            # The start of a linear layer: N(0, 1), a table's own, would drown the amplitudes.
            bound = table.num_embeddings**-0.5  # type: ignore[operator]
            nn.init.uniform_(table.weight, -bound, bound)  # type: ignore[arg-type]

    def forward(self, hkl: Tensor) -> Tensor:
        low, high = hkl.reshape(-1, 3).amin(0).tolist(), hkl.reshape(-1, 3).amax(0).tolist()
        if any(a < b for a, b in zip(low, self.box.lower, strict=True)) or any(
            a > b for a, b in zip(high, self.box.upper, strict=True)
        ):
            raise UserError(
                f"reflections from {low} to {high} lie outside model.grid={self.box}, which the one-hot "
                "embedding knows; give both data.grid and model.grid, or model.embedding=mlp"
            )
        rows = hkl - hkl.new_tensor(self.box.lower)
        return torch.cat([table(rows[..., i]) for i, table in enumerate(self.tables)], -1)


class _Mlp(nn.Module):
    reach: Tensor

    def __init__(self, width: int, box: HklGrid):
        super().__init__()
        self.register_buffer(
            "reach", torch.tensor(box.upper, dtype=torch.float32).clamp_min(1), persistent=False
        )
        self.layers = nn.Sequential(nn.Linear(3, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, hkl: Tensor) -> Tensor:
        return self.layers(hkl / self.reach)


def _indices(lower: tuple[int, int, int], shape: torch.Size, device: torch.device) -> Tensor:
    """Miller indices of all positions in C order, (H·K·L, 3)."""
    axes = [torch.arange(a, a + n, device=device) for a, n in zip(lower, shape, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
