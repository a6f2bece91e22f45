#!/usr/bin/env python3
"""Everything that has to be seen on an NVIDIA card, in one run of at most nine minutes and without Node.

usage: python3 scripts/gpu.py [--out FOLDER] [--budget SECONDS] [--build FOLDER] [--skip-torch]

Builds the core for the card that is there, runs the op tests on it against `reference` (equal bytes at fp32), once more to
see that nothing changes, and under compute-sanitizer over small shapes; times op shapes, a UNet step, the VAE and a picture
of 20 steps; then the same work in PyTorch, with the card's ceilings (copying, a large product), where that is installed.
Writes gpu.json and prints a table. A stage that fails or does not fit the budget is named; the exit status is 1 if a test
failed. Needs cmake, a C++ compiler, nvcc 12.8 or newer, and the driver; Python's standard library alone but for PyTorch's
own part.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SANITIZED = ["cuda_exact_elementwise", "cuda_exact_layer_norm", "cuda_vector", "cuda_fast_elementwise", "cuda_fast_layer_norm", "cuda_fast_geglu"]


class Session:
    """Runs commands inside the budget and keeps what they said."""

    def __init__(self, out: Path, budget: float):
        self.out, self.end, self.report = out, time.monotonic() + budget, {"stages": {}}
        out.mkdir(parents=True, exist_ok=True)

    def left(self) -> float:
        return self.end - time.monotonic()

    def run(self, stage: str, command: list[str], limit: float, env: dict[str, str] | None = None) -> str | None:
        """Its output; None where it failed, was too slow, is missing or did not fit the budget any more."""
        allowed = min(limit, self.left() - 5)
        row = self.report["stages"].setdefault(stage, {"command": " ".join(command)})
        if allowed < 5:
            row["state"] = "left out: the budget is spent"
            return None
        start = time.monotonic()
        try:
            done = subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=allowed)
        except FileNotFoundError:
            row["state"] = f"left out: {command[0]} is not installed"
            return None
        except subprocess.TimeoutExpired:
            row["state"] = f"not done in {allowed:.0f} s"
            return None
        row["seconds"] = round(time.monotonic() - start, 1)
        (self.out / f"{stage}.log").write_text(done.stdout + done.stderr)
        row["state"] = "ok" if done.returncode == 0 else f"failed (exit {done.returncode})"
        if done.returncode != 0:
            row["end"] = (done.stdout + done.stderr)[-1500:]
        return done.stdout if done.returncode == 0 else None

    def save(self) -> None:
        (self.out / "gpu.json").write_text(json.dumps(self.report, indent=2) + "\n")


def find_card(session: Session) -> str | None:
    """The card's architecture as nvcc names it."""
    fields = "name,compute_cap,memory.total,driver_version,clocks.max.sm"
    text = session.run("card", ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", "--id=0"], 30)
    if text is None:
        return None
    values = [value.strip() for value in text.strip().splitlines()[0].split(",")]
    session.report["card"] = dict(zip(fields.split(","), values))
    capability = values[1].replace(".", "")
    return "90a" if capability == "90" else capability


def build(session: Session, folder: Path, architecture: str) -> bool:
    cores = str(os.cpu_count() or 1)
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release", "-DSDGEN_CUDA=ON",
                 f"-DSDGEN_CUDA_ARCHITECTURES={architecture}"]
    if session.run("configure", configure, 60) is None:
        return False
    targets = ["sdgen-native-tests", "sdgen-bench"]
    return session.run("build", ["cmake", "--build", str(folder), "--parallel", cores, "--target", *targets], 300) is not None


def run_tests(session: Session, stage: str, program: Path, name: str, limit: float, prefix: list[str] | None = None) -> None:
    text = session.run(stage, [*(prefix or []), str(program), name], limit, {"SDGEN_TEST_CARD": "1"})
    log = session.out / f"{stage}.log"
    counts = re.findall(r"(\d+) passed, (\d+) failed", text or (log.read_text() if log.exists() else ""))
    if counts:
        session.report["stages"][stage]["passed"], session.report["stages"][stage]["failed"] = map(int, counts[-1])


def sanitize(session: Session, program: Path) -> None:
    tool = shutil.which("compute-sanitizer")
    for kind in ("memcheck", "racecheck"):
        for name in SANITIZED:
            prefix = [tool or "compute-sanitizer", "--tool", kind, "--error-exitcode", "9"]
            run_tests(session, f"{kind}-{name}", program, name, 60, prefix)


def bench(session: Session, program: Path, stage: str, arguments: list[str], limit: float) -> None:
    text = session.run(stage, [str(program), "--device", "cuda", "--json", *arguments], limit)
    if text is not None:
        session.report[stage] = json.loads(text)


def with_torch(session: Session) -> None:
    text = session.run("torch", [sys.executable, str(ROOT / "scripts" / "gpu" / "torch_peer.py"), "--seconds", str(int(session.left() - 15))],
                       session.left() - 10)
    if text is not None:
        session.report["torch"] = json.loads(text.strip().splitlines()[-1])


def table(report: dict) -> str:
    lines = [f"card: {report.get('card', 'none found')}", "", f"{'stage':38} {'seconds':>8}  state"]
    for stage, row in report["stages"].items():
        tests = f", {row['passed']} passed, {row['failed']} failed" if "passed" in row else ""
        lines.append(f"{stage:38} {row.get('seconds', ''):>8}  {row['state']}{tests}")
    lines += ["", f"{'work':52} {'ms':>10} {'TFLOP/s':>9}"]
    for stage in ("parts", "picture", "shapes"):
        found = report.get(stage, {})
        for row in found.get("parts", []) + found.get("op_shapes", []):
            name = f"sdgen {row['part']} {row['precision']} {row.get('op', '')}".strip()
            lines.append(f"{name:52} {1e3 * row['seconds']:10.3f} {row['gflops'] / 1e3:9.1f}")
    for name, row in report.get("torch", {}).get("work", {}).items():
        lines.append(f"{'torch ' + name:52} {1e3 * row['seconds']:10.3f} {row.get('tflops', ''):>9}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "gpu-report")))
    parser.add_argument("--budget", type=float, default=530)
    parser.add_argument("--build", type=Path, default=ROOT / "build-gpu")
    parser.add_argument("--skip-torch", action="store_true")
    arguments = parser.parse_args()
    session = Session(arguments.out, arguments.budget)
    architecture = find_card(session)
    if architecture is not None and build(session, arguments.build, architecture):
        tests, timer = arguments.build / "sdgen-native-tests", arguments.build / "sdgen-bench"
        run_tests(session, "tests", tests, "cuda_", 150)
        bench(session, timer, "parts", ["--part", "unet,vae-decode", "--repeat", "5"], 120)
        bench(session, timer, "picture", ["--picture", "20", "--repeat", "3"], 90)
        run_tests(session, "tests-again", tests, "cuda_", 60)
        bench(session, timer, "shapes", ["--part", "unet", "--op-shapes", "--repeat", "3"], 90)
        if not arguments.skip_torch:
            with_torch(session)
        sanitize(session, tests)
    session.save()
    text = table(session.report)
    (session.out / "gpu.txt").write_text(text + "\n")
    print(text)
    stages = session.report["stages"]
    needed = [stages.get(stage, {}).get("state") == "ok" for stage in ("card", "build", "tests", "tests-again")]
    return 0 if all(needed) and not any(row.get("failed") for row in stages.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
