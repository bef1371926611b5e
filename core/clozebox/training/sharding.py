"""A model in parts: each rank holds a share of every weight, gradient and moment (FSDP2).

For what does not fit one device (Zhao et al., 2023, "PyTorch FSDP", section 3). The layers of every
``ModuleList`` are gathered one by one as they are called, the rest of the model together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from clozebox.config.settings import Arm
from clozebox.errors import UserError

T = TypeVar("T")


class Parts(nn.Module):
    """``parts(work)``: what ``work`` returns when every weight that it touches can be used.

    FSDP gathers the weights of a module when that is called, but objectives use a model's parts one
    by one, and no module is called that holds them all. So the work is done inside of one.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[], T]) -> T:
        return work()

    def inspect(self, work: Callable[[], T]) -> T:
        """The same, for work after which no backward pass lets go of the weights."""
        from torch.distributed.fsdp import FSDPModule

        result: T = self(work)
        for module in self.modules():
            if isinstance(module, FSDPModule):
                module.reshard()
        return result


def check_shardable(arm: Arm, ranks: int) -> None:
    """Raises `UserError` where ranks would not gather the same weights in the same order."""
    told = "speed.shard = true"
    if ranks == 1:
        raise UserError(f"{told}: a single rank has nobody to share with; set speed.ranks")
    if arm.train.batch_size % ranks:
        size = arm.train.batch_size
        raise UserError(f"{told}: train.batch_size {size} is not a multiple of {ranks} ranks")
    mixed = [one.name for one in arm.objectives if one.share is not None]
    if mixed:
        raise UserError(
            f"{told}: the share of {', '.join(mixed)} gives ranks different objectives to learn "
            "from; leave one of the two out"
        )


def shard(model: nn.Module, device: torch.device, ranks: int) -> Parts:
    """Leave each rank its share of ``model``, on ``device``."""
    # Imported here and below: it takes most of a second, and most runs have no parts.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (ranks,))
    parts = Parts(model)
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    for module in [*(layer for layers in lists for layer in layers), parts]:
        sharded: Any = fully_shard(module, mesh=mesh)
        # Losses are sums, so gradients are. PREMUL_SUM, the default here, is unknown to gloo.
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)
    parts.to(device)  # the buffers, which are whole everywhere
    return parts


def everywhere(number: Tensor) -> Tensor:
    """A number () that parts of a model came to, on every rank. The device is not waited for."""
    return _put_together(number) if _is_in_parts(number) else number


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, on the host if it was in parts. All ranks ask together."""
    return _put_together(tensor).cpu() if _is_in_parts(tensor) else tensor


def like(held: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor on the device of ``parameter``, in parts if that is and is of its shape."""
    there = held.to(parameter.device)
    if not _is_in_parts(parameter) or held.shape != parameter.shape:
        return there
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(parameter, DTensor)
    # No rank is asked for its part: each has read the whole.
    return distribute_tensor(there, parameter.device_mesh, parameter.placements, src_data_rank=None)


def _is_in_parts(tensor: Tensor) -> bool:
    return hasattr(tensor, "full_tensor")


def _put_together(tensor: Any) -> Tensor:
    together: Tensor = tensor.full_tensor()
    return together
