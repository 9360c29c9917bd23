r"""R-Drop loss from hidden states: projection, loss and gradient together, a chunk of positions at a time.

For one position, K passes, logits z_k = W h_k + b over V classes, p_k = softmax(z_k):

    objective  s * sum_k CE_k + alpha * KL          s = 1 (ce_reduction "sum") or 1/K ("mean")
    CE_k       (1 - eps - eps_i) (lse_k - z_k[y]) + eps_i sum_v (lse_k - z_k[v]),  eps_i = eps / (V - 1)
    KL         1/(K-1) sum_k D_k,   D_k = sum_v p_k (l_k - l),   l_k = z_k - lse_k,   l = mean_k l_k

(KL is the mean of KL(p_i || p_j) over ordered pairs, see terms.pairwise_kl.) With
c_k = z_k - mean_j z_j, E_k = sum_v p_k c_k and p = mean_k p_k, the lse cancel in sum_k D_k: KL is
sum_k E_k / (K-1), and no log-softmax is needed. The gradient, with a = alpha / (K-1):

    dCE_k/dz_k = p_k - eps_i - (1 - eps - eps_i) onehot(y)
    dKL/dz_k   = [p_k (l_k - l - D_k) + p_k - p] / (K-1) = [p_k (c_k - E_k + 1) - p] / (K-1)
    G_k        = p_k (a c_k + s + a (1 - E_k)) - (a p + s eps_i) - s (1 - eps - eps_i) onehot(y)

and dh_k = W^T G_k, dW = sum G_k h_k^T, db = sum G_k. G needs nothing beyond its own position, so forward
puts it in the place of the logits and multiplies on; backward only scales dh, dW and db by grad_output.
That is three matrix products, as many as the projection alone costs, and no logits are kept.
One pass, K = 1, is the cross entropy: KL is 0, and G = s dCE/dz.
(Gradient in forward, in chunks: as in Liger-Kernel's fused linear losses.)

What is between the products is in elementwise.py, and for a GPU in kernel.py: one program does one position,
in two sweeps over the classes. The first keeps, for each pass, the largest logit m so far, sum z, and

    S = sum exp(z - m),  T = sum exp(z - m) c        times exp(m - m') where m grows to m'

so that lse = m + log S and E = T / S give the losses; the second writes G. Logits have the dtype that
F.linear gives them, and G replaces them in it. fp16 lacks small numbers: there each position has G times a
power of two, and dW takes the states h divided by it. That needs no further sweep, as the first knows a
bound, |G| <= s + a (max p |c| + |E| + 2).

A masked class has a bias of -inf: p_k = 0, but c_k = -inf + inf. UNREACHABLE takes the place of -inf, and c_k
is 0; infinite losses, of a masked target or of a smoothed masked class, are added afterwards.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .compatibility import autocast_dtype, keeps_graph, mm, no_autocast
from .device import device_of, positions_of
from .elementwise import losses_and_grad_
from .precision import add_product
from .terms import UNREACHABLE, Weights, masked_losses

CHUNK_POSITIONS = 128  # at least


class Options(NamedTuple):
    """What :class:`LinearRDrop` takes beside tensors.

    ce_scale: s of the module's docstring.
    chunk_size: positions at a time; None chooses.
    max_positions: an upper bound, known on the host, of the number of positions that count. It spares an
        accelerator the projection of ignored positions, which it can't count without a synchronisation.
    """

    alpha: float
    passes: int
    label_smoothing: float
    ignore_index: int
    ce_scale: float
    chunk_size: int | None = None
    max_positions: int | None = None


def linear_rdrop_sums(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, options: Options
) -> Tensor:
    """:class:`LinearRDrop` for hidden (K * B, ..., D), under autocast in the autocast dtype."""
    dtype = autocast_dtype(hidden.device.type)
    if dtype is not None:
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    if not torch.is_grad_enabled():  # a Function's forward can't tell
        hidden, weight = hidden.detach(), weight.detach()
        bias = None if bias is None else bias.detach()
    with no_autocast(hidden.device.type):
        hidden = hidden.unflatten(0, (options.passes, -1))
        sums: Tensor = LinearRDrop.apply(hidden, weight, bias, target, options)
    return sums


class LinearRDrop(torch.autograd.Function):
    """apply(hidden (K, B, ..., D), weight (V, D), bias (V) or None, target (B, ...), options)

    Returns a vector of four sums over the positions that count: the objective, the NLL (mean over the
    passes), the KL, and the number of predictions, of all passes, that hit the target. Its gradient is
    that of the objective; the others are for the log.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target: Tensor,
        options: Options,
    ) -> Tensor:
        device, passes, num_classes = device_of(hidden), options.passes, weight.size(0)
        need_hidden, need_weight, need_bias = ctx.needs_input_grad[:3]
        compute = torch.promote_types(hidden.dtype, torch.float32)
        product = hidden.dtype if device.half_products else compute
        # An fp16 gradient may be rounded to fp16 only after grad_output has brought the loss scale.
        keep = compute if hidden.dtype == torch.float16 else hidden.dtype
        of_states = torch.promote_types(product, keep)

        counted = target.flatten().ne(options.ignore_index)
        index = positions_of(counted, options.max_positions)
        source, fillers = index, None
        if not device.host_reads:
            # Fillers have a row of their own behind the last position's. Their states are zeros: a pad's may
            # be NaN, which a gradient of 0 would not keep out of the weight's.
            fillers = index.eq(len(counted))
            source = index.clamp(max=len(counted) - 1)
        targets = target.flatten()[source]
        if fillers is not None:
            targets.masked_fill_(fillers, -1)

        projection = weight.to(product)
        of_position = hidden.flatten(1, -2).transpose(0, 1)  # (N, K, D)
        rows = len(counted) + (fillers is not None)
        grad_hidden = (
            torch.zeros(passes, rows, hidden.size(-1), dtype=keep, device=hidden.device)
            if need_hidden
            else None
        )
        grad_weight = grad_bias = None
        row_bytes = passes * num_classes * torch.finfo(product).bits // 8
        chunk_size = options.chunk_size or _chunk_size(len(index), device.chunk_bytes // row_bytes)
        # The place of the logits of all chunks, one after the other. An accelerator's allocator keeps it.
        shape = min(chunk_size, len(index)) * passes, num_classes
        buffer = torch.empty(shape, dtype=product, device=hidden.device) if device.host_reads else None
        losses = [torch.zeros(1, 4, dtype=compute, device=hidden.device)]
        if bias is not None:
            of_masked = masked_losses(bias, options.label_smoothing)[targets.clamp(min=0)]
            losses.append(of_masked.masked_fill(targets.lt(0).unsqueeze(1), 0.0))
            bias = bias.to(compute).clamp(min=UNREACHABLE)

        for first in range(0, len(index), chunk_size):
            chunk = slice(first, first + chunk_size)
            states = of_position[source[chunk]].to(product)  # (n, K, D)
            if fillers is not None:
                states.masked_fill_(fillers[chunk].view(-1, 1, 1), 0.0)
            states = states.flatten(0, 1)
            place = None if buffer is None else buffer[: len(states)]
            logits = torch.mm(states, projection.t(), out=place)  # (n * K, V)
            its_losses, unscale = losses_and_grad_(
                logits.unflatten(0, (-1, passes)), bias, targets[chunk], _weights(options, num_classes)
            )
            losses.append(its_losses)
            grad = logits  # (n * K, V), since losses_and_grad_
            if grad_hidden is not None:
                grad_states = mm(grad, projection, of_states).unflatten(0, (-1, passes))
                if unscale is not None:
                    grad_states *= unscale.view(-1, 1, 1)
                grad_hidden.transpose(0, 1)[index[chunk]] = grad_states.to(keep)
            factor, of_row = None, states.new_ones(len(states), 1) if need_bias else None
            if unscale is not None:  # the largest is the factor of all, so that fp16 holds the others over it
                factor = unscale.amax()
                of_row = (unscale / factor).to(product).repeat_interleave(passes).unsqueeze(1)
                states = states * of_row
            if need_weight:
                grad_weight = add_product(grad_weight, grad.t(), states, compute, factor)
            if of_row is not None and need_bias:
                grad_bias = add_product(grad_bias, of_row.t(), grad, compute, factor)
            del logits, grad  # before the next ones
        if len(index) == 0:
            grad_weight = torch.zeros_like(weight, dtype=compute) if need_weight else None
            grad_bias = torch.zeros_like(weight[:, :1].t(), dtype=compute) if need_bias else None
        if grad_bias is not None:
            grad_bias = grad_bias.squeeze(0)
        if grad_hidden is not None:
            grad_hidden = grad_hidden[:, : len(counted)].unflatten(1, target.shape)

        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias, counted.any())
        ctx.dtypes = hidden.dtype, weight.dtype
        return torch.cat(losses).sum(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        *grads, any_counted = ctx.saved_tensors
        hidden_dtype, weight_dtype = ctx.dtypes
        # Divided by 0 positions the loss brings inf; their gradient is 0 all the same.
        scale = grad_output[0].masked_fill(~any_counted, 0.0)
        # A copy less. What may be asked for again is not handed out: others change their gradients in place.
        as_it_is = device_of(scale).host_reads and not keeps_graph() and bool(scale == 1)

        def scaled(grad: Tensor | None, dtype: torch.dtype) -> Tensor | None:
            if grad is None or as_it_is:
                return grad if grad is None else grad.to(dtype)
            return torch.mul(grad, scale, out=torch.empty(grad.shape, dtype=dtype, device=grad.device))

        of_hidden, of_weight, of_bias = grads
        return (
            scaled(of_hidden, hidden_dtype),
            scaled(of_weight, weight_dtype),
            scaled(of_bias, weight_dtype),
            None,
            None,
        )


def _chunk_size(positions: int, most: int) -> int:
    """Chunks of one size, a multiple of 16 positions, of at most ``most`` of them where that is enough."""
    chunks = max(1, math.ceil(positions / max(CHUNK_POSITIONS, most)))
    return 16 * math.ceil(max(1, positions) / chunks / 16)


def _weights(options: Options, num_classes: int) -> Weights:
    eps_i = options.label_smoothing / max(num_classes - 1, 1)
    return Weights(
        s=options.ce_scale,
        a=options.alpha / (options.passes - 1) if options.passes > 1 else 0.0,
        on_target=1.0 - options.label_smoothing - eps_i,
        eps_i=eps_i,
    )
