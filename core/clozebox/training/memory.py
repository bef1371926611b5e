"""How memory is handed out: by the C library on a CPU, by torch on a GPU."""

from __future__ import annotations

import ctypes
import os
import platform

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""glibc's names for them (``man 3 mallopt``)."""


def keep_memory() -> bool:
    """Keep what was freed for the next step, and say whether the C library can.

    glibc gives large blocks back at once and asks for them again, and each new page is cleared by
    the kernel: a third of a small model's step. Of another C library nothing is asked.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wanted = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**28))
    return all([mallopt(option, value) == 1 for option, value in wanted])


def let_segments_grow() -> None:
    """Have torch grow its segments of a GPU's memory, which then does not fall into pieces.

    Read when the first of it is allocated. Only Linux has it; what the user has set stays.
    """
    held = {"PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"} & {*os.environ}
    if platform.system() == "Linux" and not held:
        os.environ["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"
