"""One training run's folder: checkpoints that survive a kill, a log, curves and pictures."""
from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from png import write_png
from workers import Workers


def write_grid(path: Path, pictures: torch.Tensor, columns: int) -> None:
    """[n, 3, h, w] in -1 … 1 as one sheet."""
    rgb = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().byte().cpu().permute(0, 2, 3, 1).numpy()
    rows = [np.concatenate(list(rgb[i : i + columns]), 1) for i in range(0, len(rgb) - columns + 1, columns)]
    write_png(path, np.concatenate(rows, 0))


def write_curves(path: Path, log: list[dict[str, float]], keys: list[str], height: int = 240, width: int = 480) -> None:
    """Each key's values over the log in a panel of its own, scaled to its range."""
    panels = []
    for key in keys:
        panel = np.full((height, width, 3), 255, np.uint8)
        values = [row[key] for row in log if key in row]
        if len(values) > 1:
            low, high = min(values), max(values)
            xs = np.linspace(0, width - 1, len(values))
            ys = height - 1 - (np.array(values) - low) / (high - low + 1e-12) * (height - 1)
            for x in range(width):
                panel[int(np.interp(x, xs, ys)), x] = 0
        panels.append(panel)
    write_png(path, np.concatenate(panels, 1))


def note_process(path: Path) -> None:
    """Adds this process to the file's, of which those that have ended go."""
    others = [int(line) for line in path.read_text().split()] if path.exists() else []
    alive = [pid for pid in others if pid != os.getpid() and Path(f"/proc/{pid}").exists()]
    path.write_text("\n".join(str(pid) for pid in [*alive, os.getpid()]) + "\n")


class Run:
    """Counts only the time spent training towards its minutes, over all of its restarts."""

    def __init__(self, folder: Path, stage: str, minutes: float, workers: Workers):
        self.folder, self.stage, self.minutes, self.workers = folder, stage, minutes, workers
        folder.mkdir(parents=True, exist_ok=True)
        self.log_path, self.state_path = folder / f"{stage}.jsonl", folder / f"{stage}.pt"
        self.spent, self.step = 0.0, 0
        self._stop = False
        self._mark = time.monotonic()
        if workers.leads:
            note_process(folder / "train.pid")
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, lambda *_: setattr(self, "_stop", True))

    def load(self) -> dict[str, Any] | None:
        if not self.state_path.exists():
            return None
        state = torch.load(self.state_path, map_location="cpu", weights_only=True)
        self.spent, self.step = state["spent"], state["step"]
        return state

    def save(self, **state: Any) -> None:
        temporary = self.state_path.with_suffix(".tmp")
        torch.save({**state, "spent": self.spent, "step": self.step}, temporary)
        os.replace(temporary, self.state_path)

    def tick(self) -> bool:
        """After each step: whether to go on."""
        now = time.monotonic()
        self.spent += min(now - self._mark, 30)  # a pause of the whole process is not training
        self._mark = now
        self.step += 1
        return self.workers.share(float(not self._stop and self.spent < self.minutes * 60)) > 0

    def log(self, **values: float) -> None:
        row = {"step": self.step, "minutes": round(self.spent / 60, 2), **values}
        with self.log_path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    def rows(self) -> list[dict[str, float]]:
        return [json.loads(line) for line in self.log_path.read_text().splitlines()] if self.log_path.exists() else []


def learning_rate(step: int, warmup: int, done: float, peak: float) -> float:
    """Linear warmup, flat, and a linear fall over the last fifth of the time."""
    return peak * min(1.0, (step + 1) / warmup) * min(1.0, max(0.02, (1 - done) / 0.2))
