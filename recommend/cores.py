"""Cores: how many of them torch may take. Loads torch."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def one() -> Iterator[None]:
    """Inside the block torch computes on one core, in this thread and in threads that begin
    meanwhile; the others are left to whoever folds and serves on the same machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
