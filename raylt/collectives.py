"""What the workers of one trial do together; in one process, the identity."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

_T = TypeVar("_T")
_alone: ContextVar[bool] = ContextVar("alone", default=False)


@contextlib.contextmanager
def alone() -> Generator[None]:
    """In a `with` this process does everything as the only worker of its trial."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def agreed(value: _T) -> _T:
    """The first worker's value, in every worker; it is pickled."""
    if not _together():
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def world() -> int:
    """Workers of this trial."""
    return dist.get_world_size() if _together() else 1


def rank() -> int:
    """Number of this worker, from 0."""
    return dist.get_rank() if _together() else 0


def gather(tensor: Tensor) -> Tensor:
    """The workers' tensors (n, ...) one after another, (world * n, ...), with gradient.

    Every worker must hold a tensor of the same shape. The gradient of a worker's own rows is the
    sum of what all workers ask for, so that averaging the workers' parameter gradients, as
    `DistributedDataParallel` does, gives the gradient of the mean of their losses.
    """
    return _Gather.apply(tensor) if _together() else tensor


def mean(tensor: Tensor) -> Tensor:
    """Mean over the workers of a tensor of the same shape on each, without gradient."""
    if not _together():
        return tensor.detach()
    total = tensor.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


class Replicated(nn.Sequential):
    """Layers whose input is the same on every worker, so that their norms need no agreement."""


def synchronise_norms(module: nn.Module) -> None:
    """Make every batch norm inside `module` use the statistics of all workers' images, in place.

    Parameters and running statistics stay the same tensors under the same names. The norms of a
    `Replicated` part are left alone. The layers that a norm holds, such as the activation in
    timm's, follow it in their order. In one process nothing changes.
    """
    if not _together() or isinstance(module, Replicated):
        return
    for name, child in module.named_children():
        if not isinstance(child, nn.modules.batchnorm._BatchNorm):  # pyright: ignore[reportPrivateUsage]
            synchronise_norms(child)
        elif next(child.buffers()).is_cuda:
            joint = nn.SyncBatchNorm.convert_sync_batchnorm(child)
            if next(child.children(), None) is not None:
                joint.__class__ = _FollowedNorm
            setattr(module, name, joint)
        else:
            setattr(module, name, _JointNorm(child))


def _through(layers: Iterable[nn.Module], tensor: Tensor) -> Tensor:
    for layer in layers:
        tensor = layer(tensor)
    return tensor


def _together() -> bool:
    if _alone.get() or not dist.is_available() or not dist.is_initialized():
        return False
    return dist.get_world_size() > 1


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        total = grad_outputs[0].contiguous()
        # gloo has no reduce-scatter, so every worker sums all rows and keeps its own.
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


class _FollowedNorm(nn.SyncBatchNorm):
    """A norm over all workers with the layers that it holds after it, which torch takes over from
    the norm of one process and leaves unused."""

    def forward(self, input: Tensor) -> Tensor:
        """The input normalised, through the layers."""
        return _through(self.children(), super().forward(input))


class _JointNorm(nn.BatchNorm2d):
    """Batch normalisation over the images of all workers, for CPUs, which SyncBatchNorm refuses.

    Inputs (n, channels, ...) with the same n on every worker.
    """

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm) -> None:  # pyright: ignore[reportPrivateUsage]
        super().__init__(
            norm.num_features,
            norm.eps,
            norm.momentum,
            norm.affine,
            norm.track_running_stats,
            device="meta",
        )
        # The same tensors, so that optimizers and state dicts do not notice.
        self._parameters.update(norm._parameters)
        self._buffers.update(norm._buffers)
        self._modules.update(norm._modules)
        self.training = norm.training

    def forward(self, input: Tensor) -> Tensor:
        """The input normalised, in the input's dtype."""
        if not self.training:
            normal = functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
            return _through(self.children(), normal)
        wide = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        normal, mean, variance = _Normalise.apply(wide, self.weight, self.bias, self.eps)
        self._remember(mean, variance, dist.get_world_size() * input.numel() // input.shape[1])
        return _through(self.children(), normal.to(input.dtype))

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)


class _Normalise(torch.autograd.Function):
    """Batch normalisation by the statistics of all workers, in torch's own fused kernels: those of
    evaluation take statistics as they are given, and make no more passes over the images than
    training in one process does."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = torch.batch_norm_update_stats(images, None, None, 0.0)
        # The law of total variance over equally large shares; it loses no digits to cancellation.
        means, variances = gather(torch.stack([mean, variance])[None]).unbind(1)
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        ctx.save_for_backward(images, weight, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return _given(images, weight, bias, mean, variance, eps), mean, variance

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        images, weight, mean, variance = ctx.saved_tensors
        # As if the statistics were constants, which each image has moved a little, too.
        by_images, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            grad_outputs[0], images, weight, mean, variance, None, None, False, ctx.eps, [True] * 3
        )
        sums = torch.stack([by_weight, by_bias])
        dist.all_reduce(sums)
        count = dist.get_world_size() * images.numel() // images.shape[1]
        moved = sums * (-weight * (variance + ctx.eps).rsqrt() / count)
        by_images.add_(_given(images, moved[0], moved[1], mean, variance, ctx.eps))
        return by_images, by_weight, by_bias, None


def _given(
    images: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> Tensor:
    """The images normalised by given statistics."""
    return torch.native_batch_norm(images, weight, bias, mean, variance, False, 0.0, eps)[0]
