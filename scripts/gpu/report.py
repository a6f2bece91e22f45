"""The report as a table for people."""
from __future__ import annotations


def table(report: dict) -> str:
    lines = [f"card: {report.get('card') or 'none found'}"]
    lines += [f"NOTE: {note}" for note in report.get("notes", [])]
    lines += ["", f"{'stage':44} {'seconds':>8}  state"]
    for stage, row in report["stages"].items():
        tests = f", {row['passed']} passed, {row['failed']} failed" if "passed" in row else ""
        lines.append(f"{stage:44} {row.get('seconds', ''):>8}  {row['state']}{tests}")
    lines += ["", f"{'work':76} {'calls':>5} {'ms':>10} {'TFLOP/s':>9}"]
    for name, row in works(report).items():
        lines.append(f"{name:76} {row.get('calls', ''):>5} {1e3 * row['seconds']:10.3f} {row.get('tflops', ''):>9}")
    return "\n".join(lines + comparison(report))


def works(report: dict) -> dict[str, dict]:
    """Everything that was timed, by a name that tells which."""
    found: dict[str, dict] = {}
    for bench in report.get("bench", {}).values():
        for row in bench.get("parts", []) + bench.get("op_shapes", []):
            name = f"sdgen {row['precision']} {row['part']} {row.get('op', '')}".strip()
            found[name] = {"seconds": row["seconds"], "tflops": f"{row['gflops'] / 1e3:.1f}", "calls": row.get("calls", "")}
    for name, row in report.get("torch", {}).get("work", {}).items():
        found[f"torch {name}"] = {"tflops": "", **row}
    return found


PAIRS = [("a UNet step", "sdgen fp16 unet", "torch unet step"), ("decoding", "sdgen fp16 vae-decode", "torch vae decode"),
         ("20 steps and decoding", "sdgen fp16 picture of 20 steps", "torch picture of 20 steps")]


def comparison(report: dict) -> list[str]:
    found, lines = works(report), []
    for what, ours, theirs in PAIRS:
        for way in ("eager", "torch.compile"):
            mine, other = found.get(ours), found.get(f"{theirs}, {way}")
            if mine and other:
                lines.append(f"{what}: {other['seconds'] / mine['seconds']:.2f}× as fast as {way} of PyTorch in this run")
    return ["", *lines] if lines else []
