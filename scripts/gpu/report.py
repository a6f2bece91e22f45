"""The report as a table for people."""
from __future__ import annotations


def table(report: dict, shapes: bool = True) -> str:
    """`shapes`: with every shape of an op, which takes more than a screen."""
    lines = [f"card: {report.get('card') or 'none found'}"]
    lines += [f"NOTE: {note}" for note in report.get("notes", [])]
    lines += ["", f"{'stage':44} {'seconds':>8}  state"]
    for stage, row in report["stages"].items():
        tests = f", {row['passed']} passed, {row['failed']} failed" if "passed" in row else ""
        lines.append(f"{stage:44} {row.get('seconds', ''):>8}  {row['state']}{tests}")
    lines += timed(works(report, "parts")) + comparison(report)
    return "\n".join(lines + (timed(works(report, "op_shapes")) if shapes else []))


def timed(found: dict[str, dict]) -> list[str]:
    lines = [f"{name:76} {row.get('calls', ''):>5} {1e3 * row['seconds']:10.3f} {row['tflops']:>9}" for name, row in found.items()]
    return ["", f"{'work':76} {'calls':>5} {'ms':>10} {'TFLOP/s':>9}", *lines] if lines else []


def works(report: dict, kind: str) -> dict[str, dict]:
    """What was timed, by a name that tells which: "parts" of ours and PyTorch's, or "op_shapes" of ours."""
    found: dict[str, dict] = {}
    for bench in report.get("bench", {}).values():
        for row in bench.get(kind, []):
            name = f"sdgen {row['precision']} {row['part']} {row.get('op', '')}".strip()
            found[name] = {"seconds": row["seconds"], "tflops": f"{row['gflops'] / 1e3:.1f}", "calls": row.get("calls", "")}
    if kind != "parts":
        return found
    for name, row in report.get("torch", {}).get("work", {}).items():
        found[f"torch {name}"] = {"tflops": "", **row}
    return found


PAIRS = [("a UNet step", "sdgen fp16 unet", "torch unet step"), ("decoding", "sdgen fp16 vae-decode", "torch vae decode"),
         ("20 steps and decoding", "sdgen fp16 picture of 20 steps", "torch picture of 20 steps")]


def comparison(report: dict) -> list[str]:
    found, lines = works(report, "parts"), []
    for what, ours, theirs in PAIRS:
        for way in ("eager", "torch.compile"):
            mine, other = found.get(ours), found.get(f"{theirs}, {way}")
            if mine and other:
                lines.append(f"{what}: {other['seconds'] / mine['seconds']:.2f}× as fast as {way} of PyTorch in this run")
    return ["", *lines] if lines else []
