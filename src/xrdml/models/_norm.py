"""Batch normalisation that does not depend on how a batch is shared out to processes."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; so is its gradient, for every process' loss counts."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class BatchNorm(nn.BatchNorm3d):
    """`nn.BatchNorm3d` over the crystals of all processes, on any device.

    torch's own `SyncBatchNorm` runs on GPUs alone, and a training on several CPUs could not be
    compared with one on a single one.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (
            self.training and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        ):
            return super().forward(x)
        dims, values = (0, 2, 3, 4), x.float()
        first = torch.cat([values.sum(dims), values.new_tensor([x.numel() / x.shape[1]])])
        first = _SumOverProcesses.apply(first)
        n, mean = first[-1], first[:-1] / first[-1]
        centred = values - mean.reshape(1, -1, 1, 1, 1)
        variance = _SumOverProcesses.apply(centred.square().sum(dims)) / n
        with torch.no_grad():
            # Statistics are tracked, with a fixed momentum: the base class's defaults.
            momentum = self.momentum or 0.0
            self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(variance * n / (n - 1), momentum)  # type: ignore[union-attr]
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        factor = self.weight * (variance + self.eps).rsqrt()
        return (centred * factor.reshape(1, -1, 1, 1, 1) + self.bias.reshape(1, -1, 1, 1, 1)).to(x.dtype)
