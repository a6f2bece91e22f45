#!/usr/bin/env python3
"""Everything that has to be seen on an NVIDIA card, in one run of at most nine minutes and without Node.

usage: python3 scripts/gpu.py [--out FOLDER] [--budget SECONDS] [--build FOLDER] [--skip-torch] [--rehearse ARCHITECTURE]

Builds the core for the card that is there, runs the op tests on it against `reference` (equal bytes at fp32), whole parts of
a full-size model op by op against the cpu backend, and compute-sanitizer over small shapes; times a UNet step, the VAE, a
picture of 20 steps and op shapes; then the same work in PyTorch, with the card's ceilings (copying, a large product), where
that is installed. The most telling comes first, every stage has its limit, and gpu.json, gpu.txt (a table) and gpu.log are
written after each. A stage that fails, hangs or does not fit the budget is named and costs no other; the exit status is 1 if
a needed stage or a test failed. Needs cmake, make or ninja, a C++ compiler, nvcc 12.8 or newer, and the driver; Python's
standard library alone but for PyTorch's own part.

--rehearse 90a needs no card: it builds for that architecture, runs the tests on the emulation and times small work on the
processor. It shows that all stages of a real run would start.
"""
from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "gpu"))
from report import table  # noqa: E402
from session import DRIVER_FOLDER, Session, environment  # noqa: E402

MOST_ALONE = 8  # tests that failed are run again alone, so many: after an access outside of memory all later ones fail too
WHOLE = ("cuda_whole_unet_in_fp32", "cuda_whole_unet_in_fp16", "cuda_whole_text_and_decoder_in_fp16", "cuda_whole_text_and_decoder_in_fp32",
         "cuda_whole_picture")
# What compute-sanitizer looks at, with the limit in seconds.
CHECKED = (("memcheck", "cuda_fast", 70), ("memcheck", "cuda_exact", 60), ("racecheck", "cuda_fast_products", 45), ("racecheck", "cuda_fast_attention", 45),
           ("synccheck", "cuda_fast_products", 30), ("racecheck", "cuda_exact_attention", 45), ("memcheck", "cuda_vector", 20))


class Card:
    """What is asked of the card, or rehearsed on the processor."""

    def __init__(self, arguments: argparse.Namespace, session: Session):
        self.session, self.build = session, arguments.build
        self.rehearsed: str | None = arguments.rehearse
        self.tests, self.timer = self.build / "sdgen-native-tests", self.build / "sdgen-bench"

    def find(self) -> str | None:
        """The card's architecture as nvcc names it."""
        if self.rehearsed:
            self.session.report["card"] = {"rehearsal": self.rehearsed}
            return self.rehearsed
        fields = "name,compute_cap,memory.total,driver_version,clocks.max.sm"
        text = self.session.run("card", ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", "--id=0"], 20)
        values = [value.strip() for value in text.strip().split("\n")[0].split(",")]
        if self.session.row("card")["state"] == "ok" and len(values) == 5:
            self.session.report["card"] = dict(zip(fields.split(","), values))
        else:
            self.session.report["card"] = asked_of_driver()
        capability = self.session.report["card"].get("compute_cap", "").replace(".", "")
        return "90a" if capability == "90" else capability or None

    def make(self, architecture: str) -> bool:
        generator = ["-G", "Ninja"] if shutil.which("ninja", path=self.session.env["PATH"]) else []
        configure = ["cmake", "-S", str(ROOT), "-B", str(self.build), *generator, "-DCMAKE_BUILD_TYPE=Release", "-DSDGEN_CUDA=ON",
                     f"-DSDGEN_CUDA_ARCHITECTURES={architecture}"]
        self.session.run("configure", configure, 60)
        if self.session.row("configure")["state"] != "ok":
            return False
        cores = str(len(os.sched_getaffinity(0)))
        targets = ["sdgen-native-tests", "sdgen-bench"]
        self.session.run("build", ["cmake", "--build", str(self.build), "--parallel", cores, "--target", *targets], 280)
        return self.session.row("build")["state"] == "ok"

    def test(self, stage: str, name: str, limit: float, prefix: list[str] | None = None) -> list[str]:
        """Runs the tests of that name; those that failed."""
        env = {} if self.rehearsed else {"SDGEN_TEST_CARD": "1"}
        text = self.session.run(stage, [*(prefix or []), str(self.tests), name], limit, env)
        row = self.session.row(stage)
        passed, failed = re.findall(r"^ok +(\S+)", text, re.M), re.findall(r"^FAIL +(\S+)", text, re.M)
        if passed or failed:
            row["passed"], row["failed"], row["failures"] = len(passed), len(failed), failed
        self.session.save()
        return failed

    def test_alone(self, names: list[str]) -> None:
        for name in names[:MOST_ALONE]:
            self.test(f"alone-{name}", name, 20)

    def time(self, stage: str, arguments: list[str], limit: float, device: str = "cuda") -> None:
        small = ["--width", "64", "--height", "64"]
        device_flags = ["--device", "cpu", "--precision", "fp32", *small] if self.rehearsed else ["--device", device]
        precision = [] if self.rehearsed else ["--precision", "fp32" if "fp32" in stage else "fp16"]
        text = self.session.run(stage, [str(self.timer), *device_flags, *precision, "--json", *arguments], limit)
        if self.session.row(stage)["state"] == "ok":
            self.session.report.setdefault("bench", {})[stage] = json.loads(text)
            self.session.save()

    def sanitize(self, kind: str, name: str, limit: float) -> None:
        tool = shutil.which("compute-sanitizer", path=self.session.env["PATH"])
        if tool is None or self.rehearsed:
            self.session.leave_out(f"{kind}-{name}", "a rehearsal" if self.rehearsed else "compute-sanitizer is not installed")
            return
        self.test(f"{kind}-{name}", name, limit, [tool, "--tool", kind, "--error-exitcode", "9"])

    def with_torch(self, limit: float) -> None:
        seconds = min(limit, self.session.left())
        text = self.session.run("torch", [sys.executable, str(ROOT / "scripts" / "gpu" / "torch_peer.py"), "--seconds", str(int(seconds - 10))], limit)
        lines = [line for line in text.splitlines() if line.startswith("{")]
        if lines:  # one after each measurement, each with all before it
            self.session.report["torch"] = json.loads(lines[-1])
        if "No module named 'torch'" in self.session.row("torch").get("end", ""):
            self.session.row("torch")["state"] = "left out: PyTorch is not installed"
        self.session.save()


def asked_of_driver() -> dict[str, str]:
    """The first card, where there is no nvidia-smi to ask; empty where there is no driver."""
    driver = None
    for library in ("libcuda.so.1", f"{DRIVER_FOLDER}/lib64/libcuda.so.1"):
        try:
            driver = driver or ctypes.CDLL(library)
        except OSError:
            continue
    if driver is None:
        return {}
    device, major, minor, name = ctypes.c_int(), ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(128)
    if driver.cuInit(0) != 0 or driver.cuDeviceGet(ctypes.byref(device), 0) != 0:
        return {}
    driver.cuDeviceGetName(name, 127, device)
    driver.cuDeviceGetAttribute(ctypes.byref(major), 75, device)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
    return {"name": name.value.decode(errors="replace"), "compute_cap": f"{major.value}.{minor.value}"}


def stages(card: Card, skip_torch: bool) -> None:
    """All that follows the build, the most telling first."""
    failed = card.test("tests", "cuda_", 100) if card.rehearsed else []
    for name in () if card.rehearsed else ("cuda_exact", "cuda_fast", "cuda_vector", "cuda_parts", "cuda_group_norm"):
        failed += card.test(f"tests-{name}", name, 60)
    card.time("unet-fp16", ["--part", "unet", "--batch", "2", "--repeat", "5"], 45)
    for name in WHOLE[:3]:  # each is alone already
        card.test(f"whole-{name}", name, 60)
    card.test_alone(failed)
    card.time("vae-fp16", ["--part", "vae-decode", "--repeat", "5"], 30)
    card.time("picture-fp16", ["--picture", "20", "--repeat", "3"], 45)
    card.sanitize(*CHECKED[0])
    card.time("shapes-fp16", ["--part", "unet", "--op-shapes", "--repeat", "3"], 60)
    if skip_torch:
        card.session.leave_out("torch", "--skip-torch")
    else:
        card.with_torch(200)
    card.time("parts-fp32", ["--part", "unet,vae-decode", "--repeat", "2"], 45)
    for name in WHOLE[3:]:
        card.test(f"whole-{name}", name, 60)
    card.time("picture-fp16-again", ["--picture", "20", "--repeat", "1"], 30)
    card.time("picture-fp32", ["--picture", "20", "--repeat", "1"], 45)
    for check in CHECKED[1:]:
        card.sanitize(*check)


def note_digests(report: dict) -> None:
    """Two processes must make the same picture."""
    first, again = (report.get("bench", {}).get(stage, {}).get("parts", [{}])[0].get("digest") for stage in ("picture-fp16", "picture-fp16-again"))
    if first and again and first != again:
        report.setdefault("notes", []).append(f"the picture at fp16 has other pixels when it is made again: {first}, {again}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "gpu-report")))
    parser.add_argument("--budget", type=float, default=530)
    parser.add_argument("--build", type=Path, default=ROOT / "build-gpu")
    parser.add_argument("--skip-torch", action="store_true")
    parser.add_argument("--rehearse", metavar="ARCHITECTURE")
    arguments = parser.parse_args()
    session = Session(arguments.out.resolve(), arguments.build.resolve() / "logs", arguments.budget, table, environment())
    card = Card(arguments, session)
    architecture = card.find()
    if architecture is None:
        session.report["notes"] = ["no NVIDIA card was found: neither nvidia-smi nor the driver names one. --rehearse 90a needs none."]
    elif card.make(architecture):
        stages(card, arguments.skip_torch)
    note_digests(session.report)
    session.save()
    print(table(session.report, shapes=False))
    rows = session.report["stages"]
    tests = [name for name in rows if name.startswith(("tests", "whole"))]
    sound = all(rows[name]["state"] == "ok" for name in ("build", *tests) if name in rows) and tests and not session.report.get("notes")
    return 0 if sound and not any(row.get("failed") for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
