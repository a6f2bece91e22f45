"""Several single-threaded processes training one model: each draws its own scenes, gradients are averaged at every step.

On a machine that others use too, one thread a process is much faster than several threads that wait for each other: a
thread that is not running holds up the rest at every operation, a process only at the end of a step."""
from __future__ import annotations

import argparse
import datetime
import os
import tempfile
from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing


class Workers:
    """`rank` 0 leads: it logs, saves, and decides when to end."""

    def __init__(self, rank: int, count: int):
        self.rank, self.count = rank, count

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        if self.count == 1:
            return
        grads = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads])
        dist.all_reduce(flat)
        flat /= self.count
        for grad, part in zip(grads, flat.split([g.numel() for g in grads])):
            grad.copy_(part.view_as(grad))

    def share(self, value: float) -> float:
        """The leader's value, for all."""
        if self.count == 1:
            return value
        box = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(box, 0)
        return box.item()


def _enter(rank: int, count: int, store: str, main: Callable[[argparse.Namespace, Workers], None], args: argparse.Namespace) -> None:
    torch.backends.nnpack.set_flags(False)
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    if count > 1:
        # A whole run may be paused for hours.
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=count, timeout=datetime.timedelta(days=7))
    main(args, Workers(rank, count))
    if count > 1:
        dist.destroy_process_group()


def start(count: int, main: Callable[[argparse.Namespace, Workers], None], args: argparse.Namespace) -> None:
    """Runs `main` in `count` processes, this one leading."""
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "workers")
        context = multiprocessing.get_context("spawn")
        others = [context.Process(target=_enter, args=(rank, count, store, main, args), daemon=True) for rank in range(1, count)]
        for process in others:
            process.start()
        _enter(0, count, store, main, args)
        for process in others:
            process.join()
