"""One run on several processes: which of them this is, and the little they tell one another.

A rank is one of these processes. Each computes a part of every step; what is summed over the parts
is the same number however many there are. Nothing else in the sandbox knows of ranks but through a
``World``, and a world of one tells nobody anything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from clozebox.config.settings import Speed
from clozebox.errors import UserError
from clozebox.training.launch import RENDEZVOUS, is_rank

PATIENCE = timedelta(hours=6)
"""How long a rank waits for another: rank 0 evaluates alone. One that dies is noticed at once."""
FAREWELL = timedelta(seconds=2)
"""How long to look for the word of a rank that is gone."""


class RankLost(Exception):
    """Another rank is gone, and with it the run."""


class World:
    """``size`` ranks that train one run, of which this is ``rank``; rank 0 writes for all.

    Small things go over the host, so that no device is waited for.
    """

    def __init__(self, rank: int = 0, size: int = 1, store: Store | None = None) -> None:
        self.rank, self.size = rank, size
        self._store = store
        self._agreed: dict[Hashable, list[str]] = {}

    @property
    def is_main(self) -> bool:
        """Whether this is the rank that evaluates and writes."""
        return self.rank == 0

    @property
    def own_draws(self) -> tuple[int, ...]:
        """What a rank's own random numbers hang on besides; rank 0 draws as a lone process does."""
        return (self.rank,) if self.rank else ()

    def part(self, first: int, end: int) -> range:
        """This rank's part of the sequences ``first .. end`` of a step: one block of them."""
        count = end - first
        return range(
            first + count * self.rank // self.size, first + count * (self.rank + 1) // self.size
        )

    def claim_device(self, speed: Speed, batch_size: int) -> None:
        """Make the GPU of this rank the one that "cuda" means.

        Raises:
            UserError: there are not as many GPUs, or sequences in a step, as ranks.
        """
        if self.size == 1:
            return
        if batch_size < self.size:
            raise UserError(
                f"train.batch_size = {batch_size} is too few sequences for {self.size} ranks"
            )
        on_gpu = torch.cuda.is_available() and speed.device != "cpu"
        if not on_gpu:
            return
        local, there = int(os.environ.get("LOCAL_RANK", self.rank)), torch.cuda.device_count()
        if speed.device not in ("auto", "cuda") or local >= there:
            raise UserError(
                f"speed.device = {speed.device!r}: each of {self.size} ranks needs a GPU of its "
                f'own; this machine shows {there}, and "auto" or "cuda" takes the next for each'
            )
        torch.cuda.set_device(local)

    def add_up(self, values: Mapping[str, Tensor], what: Hashable = None) -> dict[str, Tensor]:
        """Sums over the ranks, each () float64, of what some of them may not have at all.

        ``what`` says what is summed: the names are asked for once for each, or, for None, anew.
        """
        if self.size == 1:
            return dict(values)
        names = self._names(values) if what is None else self._names_of(what, values)
        device = next(iter(values.values())).device
        nothing = torch.zeros((), dtype=torch.float64, device=device)
        total = torch.stack([values.get(name, nothing).double() for name in names])  # (names,)
        self._sum(total)
        return dict(zip(names, total.unbind(), strict=True))

    def add_up_gradients(self, model: nn.Module, what: Hashable) -> None:
        """Give every rank the sum of all ranks' gradients, in one buffer.

        A parameter has a gradient afterwards where it has one on any rank, and none otherwise: the
        optimizer leaves those alone.
        """
        if self.size == 1:
            return
        held = dict(model.named_parameters())
        own = [name for name, parameter in held.items() if parameter.grad is not None]
        gradients: list[Tensor] = []
        for name in self._names_of(("gradients", what), own):
            parameter = held[name]
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        buffer = torch.cat([gradient.flatten() for gradient in gradients])  # (all numbers,)
        self._sum(buffer)
        parts = torch.split(buffer, [gradient.numel() for gradient in gradients])
        torch._foreach_copy_(
            gradients, [p.view_as(g) for p, g in zip(parts, gradients, strict=True)]
        )

    def largest(self, number: float) -> float:
        """The largest that any rank gives. On the host."""
        if self.size == 1:
            return number
        held = torch.tensor(number, dtype=torch.float64)
        with self._together():
            dist.all_reduce(held, dist.ReduceOp.MAX)
        return held.item()

    def wait(self) -> None:
        """Go on when every rank has come to here."""
        self.largest(0.0)

    def gather(self, value: Any) -> list[Any]:
        """What each rank gives, by rank: anything that JSON can hold."""
        if self.size == 1:
            return [value]
        text = json.dumps(value).encode()
        padded = text.ljust(int(self.largest(len(text))))  # JSON does not mind spaces
        own = torch.frombuffer(bytearray(padded), dtype=torch.uint8)
        found = [torch.empty_like(own) for _ in range(self.size)]
        with self._together():
            dist.all_gather(found, own)
        return [json.loads(bytes(one.tolist())) for one in found]

    def from_main(self, value: Any) -> Any:
        """What rank 0 gives, on every rank."""
        return self.gather(value if self.is_main else None)[0]

    def leave_word(self, reason: str, exit_code: int) -> None:
        """Tell the others why this rank goes, before they notice that it is gone."""
        if self._store is not None:
            with suppress(RuntimeError):  # the store can be gone before us, with rank 0
                self._store.set("word", json.dumps({"reason": reason, "exit_code": exit_code}))

    def _names_of(self, what: Hashable, names: Iterable[str]) -> list[str]:
        """The names that any rank has, asked for once: what is the same is so on every rank."""
        own = list(names)
        if what not in self._agreed:
            self._agreed[what] = self._names(own)
        if strange := {*own} - {*self._agreed[what]}:
            raise RuntimeError(f"{', '.join(sorted(strange))} was not there before, for {what}")
        return self._agreed[what]

    def _names(self, names: Iterable[str]) -> list[str]:
        return [*dict.fromkeys(name for each in self.gather(list(names)) for name in each)]

    def _sum(self, tensor: Tensor) -> None:
        with self._together():
            dist.all_reduce(tensor)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Raises what the lost rank said: SystemExit where it was asked to stop, or RankLost."""
        try:
            yield
        except RuntimeError as error:
            word = self._word()
            if word is None:
                told = str(error).strip().partition("\n")[0]
                raise RankLost(f"another rank is gone without a word ({told})") from error
            if word["exit_code"] >= 128:
                raise SystemExit(word["exit_code"]) from None
            raise RankLost(word["reason"]) from None

    def _word(self) -> dict[str, Any] | None:
        try:
            assert self._store is not None
            self._store.wait(["word"], FAREWELL)
            found: dict[str, Any] = json.loads(self._store.get("word"))
        except RuntimeError:  # nobody said anything, or the store went with rank 0
            return None
        return found


ALONE = World()


@contextmanager
def joined() -> Iterator[World]:
    """The world that the environment tells of, as torchrun or our own launcher set it up."""
    if not is_rank():
        yield ALONE
        return
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    url = os.environ.get(RENDEZVOUS, "env://")
    store, rank, size = next(rendezvous(url, rank, size))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(
        backend,
        store=PrefixStore("ranks", store),
        rank=rank,
        world_size=size,
        timeout=PATIENCE,
    )
    try:
        yield World(rank, size, store)
    finally:
        dist.destroy_process_group()
