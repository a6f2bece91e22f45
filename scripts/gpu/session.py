"""Commands inside a budget of time. What they said is on disk as soon as each has ended, whatever becomes of the rest."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parents[2]
RESERVE = 5.0  # seconds kept for writing the report
GRACE = 3.0    # seconds between asking a command to end and ending it
LEAST = 5.0    # seconds below which nothing is started
DRIVER_FOLDER = "/usr/local/nvidia"  # of containers that are given the host's driver


class Session:
    """Stages, one after the other. Writes gpu.json, gpu.txt and gpu.log after each; `table` makes the text of a report."""

    def __init__(self, out: Path, logs: Path, budget: float, table: Callable[[dict], str], env: dict[str, str]):
        self.out, self.logs, self.table, self.env = out, logs, table, env
        self.end = time.monotonic() + budget
        self.report: dict = {"stages": {}}
        self.running: subprocess.Popen | None = None
        for folder in (out, logs):
            folder.mkdir(parents=True, exist_ok=True)
        (out / "gpu.log").write_text("")
        signal.signal(signal.SIGTERM, self._stopped)

    def left(self) -> float:
        return self.end - time.monotonic() - RESERVE

    def leave_out(self, stage: str, why: str) -> None:
        self._ended(stage, {"state": f"left out: {why}"})

    def run(self, stage: str, command: list[str], limit: float, env: dict[str, str] | None = None) -> str:
        """What it printed, all or as far as it came; its row of the report says which."""
        row: dict = {"command": " ".join(command), "limit": round(min(limit, max(self.left(), 0)), 1)}
        if row["limit"] < LEAST:
            self.leave_out(stage, "the budget is spent")
            return ""
        printed, noted = self.logs / f"{stage}.out", self.logs / f"{stage}.err"
        start = time.monotonic()
        with printed.open("wb") as stdout, noted.open("wb") as stderr:
            try:
                self.running = subprocess.Popen(command, cwd=ROOT, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                                                stdout=stdout, stderr=stderr, start_new_session=True)
            except OSError as error:
                self.leave_out(stage, f"{command[0]} cannot be started ({error.strerror})")
                return ""
            try:
                code = self.running.wait(row["limit"])
                row["state"] = "ok" if code == 0 else f"failed ({describe(code)})"
            except subprocess.TimeoutExpired:
                row["state"] = f"not done in {row['limit']:.0f} s"
            end_group(self.running)
            self.running = None
        row["seconds"] = round(time.monotonic() - start, 1)
        text, notes = (file.read_text(errors="replace") for file in (printed, noted))
        if row["state"] != "ok":
            row["end"] = (text[-1500:] + notes[-1500:]).strip()
        with (self.out / "gpu.log").open("a") as log:
            log.write(f"==== {stage}: {row['command']}\n==== {row['state']}, {row['seconds']} s\n{shortened(text)}{shortened(notes)}\n")
        self._ended(stage, row)
        return text

    def row(self, stage: str) -> dict:
        return self.report["stages"].get(stage, {})

    def save(self) -> None:
        for name, text in (("gpu.json", json.dumps(self.report, indent=2) + "\n"), ("gpu.txt", self.table(self.report) + "\n")):
            half = self.out / f"{name}.tmp"
            half.write_text(text)
            half.replace(self.out / name)

    def _ended(self, stage: str, row: dict) -> None:
        self.report["stages"][stage] = row
        print(f"{stage}: {row['state']}, {row.get('seconds', 0)} s; {max(self.left(), 0):.0f} s left", flush=True)
        self.save()

    def _stopped(self, *_: object) -> None:
        if self.running is not None:
            end_group(self.running)
        self.report["stopped"] = True
        self.save()
        sys.exit(143)


def describe(code: int) -> str:
    return f"exit {code}" if code > 0 else f"signal {signal.Signals(-code).name}"


def end_group(process: subprocess.Popen) -> None:
    """Ends the command and all that it has started: a compiler or a program on the card would go on and cost the rest."""
    for how, wait in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            break
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def shortened(text: str, most: int = 200_000) -> str:
    return text if len(text) <= most else f"{text[:most // 2]}\n[…]\n{text[-most // 2:]}"


def environment() -> dict[str, str]:
    """Ours, with the places where the toolkit and the driver are when nobody has said so."""
    env = dict(os.environ)
    homes = [env[name] for name in ("CUDA_HOME", "CUDA_PATH") if env.get(name)] + ["/usr/local/cuda"]
    tools = [f"{home}/{folder}" for home in homes for folder in ("bin", "compute-sanitizer")]
    for name, folders in (("PATH", [*tools, f"{DRIVER_FOLDER}/bin"]), ("LD_LIBRARY_PATH", [f"{DRIVER_FOLDER}/lib64"])):
        known = [folder for folder in env.get(name, "").split(":") if folder]
        there = [folder for folder in folders if folder not in known and Path(folder).is_dir()]
        if known or there:
            env[name] = ":".join(known + there)
    return env
