"""What must hold of every encoder. B sequences, T tokens, D hidden size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from clozebox.components import EncoderConfig, ModelShape
from clozebox.model import Attention, Encoder, initialise
from clozebox.testing.bench import SIZE
from clozebox.testing.verdict import Property, Violation

ROWS, LENGTH = 3, 12
NOTHING = 1e-9


@dataclass(frozen=True, eq=False)
class EncoderCase:
    """An encoder of a small size, in double precision, without its dropout."""

    config: EncoderConfig
    seed: int

    @cached_property
    def encoder(self) -> Encoder:
        encoder = self.config.build(ModelShape.of(SIZE, 100, 64))
        initialise(encoder, self.seed)
        for parameter in encoder.parameters():
            if parameter.dim() > 1:
                parameter.data *= 4  # as if trained: every dependence is then a strong one
        return encoder.double().eval()

    @cached_property
    def embedded(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(ROWS, LENGTH, SIZE.hidden_size, generator=generator).double()

    @property
    def real(self) -> Tensor:
        """(B, T): where there is a token; what an encoder makes of padding is its own affair."""
        return torch.arange(LENGTH) < torch.tensor([[LENGTH], [LENGTH - 3], [LENGTH - 5]])

    def attentions(self) -> Iterator[Attention]:
        """Of every kind, over sequences with padding, and over packed documents."""
        real, lengths = self.real, self.real.sum(1)  # (B, T), (B,)
        documents = (torch.arange(LENGTH) >= 4).long().expand(ROWS, -1)
        for packed in (None, documents):
            for kind in ("bidirectional", "causal", "anticausal"):
                yield Attention(real, kind, document_ids=packed)
        yield Attention(real, "prefix", prefix_length=lengths // 2)


def shapes_are_kept(case: EncoderCase) -> None:
    for attention in case.attentions():
        output = case.encoder(case.embedded, attention)
        if output.shape != case.embedded.shape:
            raise Violation(f"{tuple(case.embedded.shape)} became {tuple(output.shape)}")
        if not output.isfinite().all():
            raise Violation(f"{attention.kind} attention gives numbers that are not finite")


def attention_is_obeyed(case: EncoderCase) -> None:
    for attention in case.attentions():
        allowed = attention.pattern(ROWS, LENGTH)
        before = case.encoder(case.embedded, attention)
        for place in range(LENGTH):
            changed = case.embedded.clone()
            changed[:, place] += 1
            moved = (case.encoder(changed, attention) - before).abs().amax(-1) > NOTHING  # (B, T)
            sees = _through_layers(allowed)[:, :, place]
            if (wrong := (moved != sees) & case.real).any():
                row, seer = (int(i) for i in wrong.nonzero()[0])
                verb = "moves" if moved[row, seer] else "does not move"
                raise Violation(
                    f"{attention.kind} attention: position {seer} {verb} with position {place}"
                )


def states_end_with_the_output(case: EncoderCase) -> None:
    attention = next(case.attentions())
    states = case.encoder.hidden_states(case.embedded, attention)
    if len(states) != SIZE.num_hidden_layers + 1:
        raise Violation(f"{len(states)} states of {SIZE.num_hidden_layers} layers; one more is due")
    if not torch.equal(states[0], case.embedded):
        raise Violation("the first state is not what went in")
    output, real = case.encoder(case.embedded, attention), case.real
    if not torch.allclose(states[-1][real], output[real], atol=NOTHING):
        raise Violation("the last state is not what forward returns")


def what_is_read_is_the_same(case: EncoderCase) -> None:
    for attention in case.attentions():
        real = case.real.flatten().nonzero().squeeze(1)
        read = real[torch.randperm(len(real), generator=torch.Generator().manual_seed(case.seed))]
        for few in (read[: len(read) // 3], read):
            whole = case.encoder(case.embedded, attention).flatten(0, 1)  # (B*T, D)
            some = case.encoder.forward_at(case.embedded, attention, few).flatten(0, 1)
            if not torch.allclose(some[few], whole[few], atol=NOTHING):
                raise Violation(
                    f"{attention.kind} attention: asked for {len(few)} positions, forward_at "
                    "gives others than forward does"
                )


def every_parameter_learns(case: EncoderCase) -> None:
    output = case.encoder(case.embedded, next(case.attentions()))
    output.square().sum().backward()
    silent = [name for name, p in case.encoder.named_parameters() if p.grad is None]
    if silent:
        raise Violation(f"no gradient reaches {', '.join(silent[:4])}")


def the_stated_flops_are_right(case: EncoderCase) -> None:
    stated = ROWS * case.encoder.flops(LENGTH)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        case.encoder(case.embedded, Attention(None))
    counted = counter.get_total_flops()
    if abs(stated - counted) > 0.01 * counted:
        raise Violation(f"flops states {stated:,} forward operations; torch counts {counted:,}")


def _through_layers(allowed: Tensor) -> Tensor:
    """(B, T, T): what a position sees through any number of layers, itself included."""
    reach = allowed | torch.eye(LENGTH, dtype=torch.bool)
    for _ in range(SIZE.num_hidden_layers - 1):
        reach = (reach.float() @ (allowed | torch.eye(LENGTH, dtype=torch.bool)).float()) > 0
    return reach


PROPERTIES: tuple[Property[EncoderCase], ...] = (
    Property(
        "shapes",
        "(B, T, D) goes in and comes out, finite, under every kind of attention",
        "a softmax over a row that may look at nothing, which is NaN",
        shapes_are_kept,
    ),
    Property(
        "attention",
        "a position moves with what attention lets it see, and with nothing else",
        "attention that is not handed to every layer, or mixing along T somewhere else",
        attention_is_obeyed,
    ),
    Property(
        "states",
        "hidden_states begins with what went in and ends with what forward returns",
        "a last normalisation that only one of the two applies",
        states_end_with_the_output,
    ),
    Property(
        "read",
        "forward_at gives what forward does, at the positions that it is asked for",
        "a change of forward alone, where forward_at was inherited or overridden",
        what_is_read_is_the_same,
    ),
    Property(
        "gradients",
        "every parameter gets a gradient",
        "a part that forward never calls",
        every_parameter_learns,
    ),
    Property(
        "flops",
        "the operations that flops states are those that are done",
        "a projection that is left out, or backward counted in",
        the_stated_flops_are_right,
    ),
)
