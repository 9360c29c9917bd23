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

A masked class has a bias of -inf: p_k = 0, but c_k = -inf + inf. UNREACHABLE takes the place of -inf, and c_k
is 0; infinite losses, of a masked target or of a smoothed masked class, are added afterwards.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .compatibility import autocast_dtype, mm, no_autocast
from .compiled import compiled_losses_and_grad_
from .device import device_of, positions_of
from .precision import addmm_, to_product_dtype
from .terms import UNREACHABLE, masked_losses

CHUNK_POSITIONS = 128  # at least


class Options(NamedTuple):
    """What :class:`LinearRDrop` takes beside tensors.

    ce_scale: s of the module's docstring.
    chunk_size: positions at a time; None chooses.
    max_positions: an upper bound, known on the host, of the number of positions that count. It spares an
        accelerator the projection of ignored positions, which it can't count without a synchronisation.
    compiled: the elementwise part under torch.compile.
    """

    alpha: float
    passes: int
    label_smoothing: float
    ignore_index: int
    ce_scale: float
    chunk_size: int | None = None
    max_positions: int | None = None
    compiled: bool = False


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

        projection = weight.to(product)
        grad_hidden = torch.zeros_like(hidden, dtype=keep) if need_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=compute) if need_weight else None
        grad_bias = torch.zeros_like(weight[:, 0], dtype=compute) if need_bias else None
        sums = weight.new_zeros(4, dtype=compute)
        if bias is not None:
            of_masked = masked_losses(bias, options.label_smoothing)
            bias = bias.to(compute).clamp(min=UNREACHABLE)

        positions, padded = positions_of(target.ne(options.ignore_index), options.max_positions)
        row_bytes = passes * num_classes * torch.finfo(compute).bits // 8
        chunk_size = options.chunk_size or max(CHUNK_POSITIONS, device.chunk_bytes // row_bytes)
        chunk_size = min(chunk_size, max(1, positions.size(0)))
        block_size = max(1, device.block_bytes // row_bytes)
        # The logits of all chunks, one after the other; a product of half precision brings its own.
        rows = chunk_size * passes if product == compute else 0
        logits_buffer = weight.new_empty((rows, num_classes), dtype=compute)
        shape = min(block_size, chunk_size), passes, num_classes
        probs_buffer = None if options.compiled else weight.new_empty(shape, dtype=compute)

        for chunk in positions.split(chunk_size) if len(positions) else ():
            index = chunk.unbind(1)
            counts = index[0].ge(0).to(compute)  # 0 for the fillers of positions_of
            chunk_target = target[index].clamp(min=0)
            # (K, B, ..., D) -> (n, K, D). Zeros for fillers keep them out of grad_weight.
            of_all_passes = (slice(None), *index)
            states = hidden[of_all_passes].transpose(0, 1).to(product)
            states = (states * counts.to(product).view(-1, 1, 1)).flatten(0, 1)  # (n * K, D)
            if product == compute:
                flat_logits = torch.mm(states, projection.t(), out=logits_buffer[: states.size(0)])
            else:
                flat_logits = mm(states, projection.t(), compute)
            logits = flat_logits.unflatten(0, (-1, passes))  # (n, K, V)
            if bias is not None:
                logits += bias
                sums += of_masked[chunk_target].masked_fill(counts.eq(0).unsqueeze(1), 0.0).sum(0)
            for block in range(0, chunk.size(0), block_size):
                part = slice(block, block + block_size)
                block_logits, block_target = logits[part], chunk_target[part]
                sums += counts[part] @ _elementwise_(block_logits, probs_buffer, block_target, options)
            grad = flat_logits  # (n * K, V), since losses_and_grad_
            if grad_bias is not None:
                grad_bias += counts.repeat_interleave(passes) @ grad
            grad, unscale = to_product_dtype(grad, product)
            if grad_weight is not None:
                addmm_(grad_weight, grad.t(), states, unscale)
            if grad_hidden is not None:
                grad_states = torch.zeros_like(states, dtype=compute)
                addmm_(grad_states, grad, projection, unscale)
                grad_states *= counts.repeat_interleave(passes).unsqueeze(1)
                grad_states = grad_states.unflatten(0, (-1, passes)).transpose(0, 1).to(keep)
                every_pass = torch.arange(passes, device=hidden.device).unsqueeze(1)
                # Fillers all name the last position: accumulating, they add zero to it.
                grad_hidden.index_put_((every_pass, *index), grad_states, accumulate=padded)

        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        ctx.dtypes = hidden.dtype, weight.dtype
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight, grad_bias = ctx.saved_tensors
        hidden_dtype, weight_dtype = ctx.dtypes
        scale = grad_output[0]
        is_one = device_of(scale).host_reads and bool(scale == 1)  # a copy less

        def scaled(grad: Tensor | None, dtype: torch.dtype) -> Tensor | None:
            return None if grad is None else (grad if is_one else grad * scale).to(dtype)

        return (
            scaled(grad_hidden, hidden_dtype),
            scaled(grad_weight, weight_dtype),
            scaled(grad_bias, weight_dtype),
            None,
            None,
        )


def _elementwise_(logits: Tensor, buffer: Tensor | None, target: Tensor, options: Options) -> Tensor:
    """:func:`losses_and_grad_`, compiled if the options ask for it and it can be."""
    if options.compiled:
        scalars = options.alpha, options.ce_scale, options.label_smoothing
        losses = compiled_losses_and_grad_(logits, target, *scalars)
        if losses is not None:
            return losses
    probs = None if buffer is None else buffer[: logits.size(0)]
    return losses_and_grad_(logits, probs, target, options)


def losses_and_grad_(logits: Tensor, probs: Tensor | None, target: Tensor, options: Options) -> Tensor:
    """The elementwise part: puts G of the module's docstring in the place of the logits.

    Args:
        logits: (n, K, V), overwritten by the gradient.
        probs: scratch of the same shape, or None.
        target: (n), in [0, V).

    Returns:
        (n, 4): objective, NLL, KL, correct predictions of each position.
    """
    passes, num_classes = logits.shape[1:]
    s = options.ce_scale
    eps_i = options.label_smoothing / max(num_classes - 1, 1)
    on_target = 1.0 - options.label_smoothing - eps_i
    target = target.view(-1, 1, 1).expand(-1, passes, 1)

    probs = torch.softmax(logits, -1, out=probs)
    largest = logits.amax(-1)
    lse = largest - probs.amax(-1).log()  # exact where the largest term is; no second exp
    target_logits = logits.gather(-1, target).squeeze(-1)
    nll = lse - target_logits
    correct = target_logits.eq(largest).sum(1).to(nll.dtype)

    mean = logits if passes == 1 else _sum_over_passes(logits).div_(passes)
    ce = on_target * nll.sum(1)
    if eps_i > 0:
        ce += eps_i * (num_classes * lse.sum(1) - passes * mean.sum((1, 2)))
    objective = s * ce

    if passes == 1:
        kl = torch.zeros_like(objective)
        torch.add(logits.new_full((), -s * eps_i), probs, alpha=s, out=logits)
    else:
        a = options.alpha / (passes - 1)
        logits -= mean
        expectation = torch.linalg.vecdot(probs, logits)  # E_k
        kl = expectation.sum(1) / (passes - 1)
        objective += options.alpha * kl
        torch.add((s + a * (1 - expectation)).unsqueeze(-1), logits, alpha=a, out=logits)
        torch.addcmul(logits.new_full((), -s * eps_i), logits, probs, out=logits)
        logits.sub_(_sum_over_passes(probs), alpha=a / passes)
    logits.scatter_add_(-1, target, torch.full_like(nll, -s * on_target).unsqueeze(-1))

    return torch.stack([objective, nll.mean(1), kl, correct], dim=1)


def _sum_over_passes(x: Tensor) -> Tensor:
    """(n, K, V) to (n, 1, V); ``x.sum(1)`` is slow in torch."""
    first, second, *others = x.split(1, dim=1)
    total: Tensor = first + second
    for other in others:
        total += other
    return total
