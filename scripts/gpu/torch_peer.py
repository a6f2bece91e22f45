"""The work that scripts/gpu.py times, in PyTorch: SD 1.x's UNet step with guidance at 512×512 and its VAE, fp16, channels
last, the fused attention, eager and compiled with CUDA graphs; a large product and a copy as the card's ceilings. Weights are
random: the work does not depend on them. Prints a line of JSON after each measurement, with all that came before."""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pocket"))


def best_of(torch, repeat: int, work: Callable[[], object]) -> float:
    """Seconds of the quickest of `repeat` runs, after two that warm up."""
    times = []
    for i in range(repeat + 2):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        if i >= 2:
            times.append(start.elapsed_time(end) * 1e-3)
    return min(times)


def networks(torch):
    from networks import Autoencoder, Size, Unet

    size = Size(512, 4, (128, 256, 512, 512), 2, 32, (320, 640, 1280, 1280), 2, 32, (8, 8, 8, 8), 768, 1, 12, 77, 0)
    place = {"device": "cuda", "dtype": torch.float16, "memory_format": torch.channels_last}
    with torch.device("cuda"):  # a billion random weights take the processor a while
        unet, decoder = Unet(size).eval(), Autoencoder(size).eval()
    unet, decoder = unet.to(**place), decoder.to(**place)
    for level in (unet.down_blocks[3], unet.up_blocks[0]):  # SD 1.x attends on three levels and in the middle
        del level.attentions
    return unet, decoder


def picture(torch, unet, decode, given: tuple) -> object:
    """Euler's steps with guidance from noise to a picture on the host, as sdgen-bench --picture 20 does them."""
    sigmas = [14.6146 + (0.0292 - 14.6146) * i / 19 for i in range(20)] + [0.0]
    x = torch.randn(1, 4, 64, 64, device="cuda") * sigmas[0]
    for sigma, following in zip(sigmas, sigmas[1:]):
        seen = (x / (sigma * sigma + 1) ** 0.5).half().repeat(2, 1, 1, 1).to(memory_format=torch.channels_last)
        cond, uncond = (x - sigma * part.float() for part in unet(seen, *given).clone().chunk(2))
        guided = uncond + 7 * (cond - uncond)
        x = following / sigma * x + (1 - following / sigma) * guided
    return decode((x / 0.18215).half().to(memory_format=torch.channels_last)).clone().float().cpu()


class Results:
    """What was measured so far, printed anew after each measurement: one that hangs costs no other."""

    def __init__(self, torch):
        self.torch, self.work, self.notes, self.about = torch, {}, [], {}

    def add(self, name: str, seconds: float, **more: float) -> None:
        self.work[name] = {"seconds": seconds, **more}
        self.print()

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.print()

    def print(self) -> None:
        peak = self.torch.cuda.max_memory_allocated()
        print(json.dumps({"version": self.torch.__version__, **self.about, "peak_bytes": peak, "work": self.work, "notes": self.notes}), flush=True)


def ceilings(torch, results: Results) -> None:
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.float16)
    seconds = best_of(torch, 10, lambda: a @ a)
    results.add("product 8192, fp16", seconds, tflops=round(2 * 8192**3 / seconds * 1e-12, 1))
    source, target = torch.empty(2**28, device="cuda"), torch.empty(2**28, device="cuda")
    seconds = best_of(torch, 10, lambda: target.copy_(source))
    results.add("copy of 1 GiB", seconds, gbs=round(2 * 2**30 / seconds * 1e-9, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240)
    end = time.monotonic() + parser.parse_args().seconds
    import torch

    torch.set_grad_enabled(False)
    results = Results(torch)
    ceilings(torch, results)
    unet, vae = networks(torch)
    half = {"device": "cuda", "dtype": torch.float16}
    x = torch.randn(2, 4, 64, 64, **half).to(memory_format=torch.channels_last)
    text, pooled, t = torch.randn(2, 77, 768, **half), torch.randn(2, 768, **half), torch.full((2,), 500.0, device="cuda")
    z = torch.randn(1, 4, 64, 64, **half).to(memory_format=torch.channels_last)
    results.about["unet_parameters"] = sum(p.numel() for p in unet.parameters())
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    results.add("unet step, eager", best_of(torch, 5, lambda: unet(x, t, text, pooled)))
    results.add("vae decode, eager", best_of(torch, 5, lambda: vae.decode(z)))
    results.add("picture of 20 steps, eager", best_of(torch, 2, lambda: picture(torch, unet, vae.decode, (t, text, pooled))))
    made = {"unet step": unet, "vae decode": vae.decode}
    for name, call in (("unet step", lambda m: m(x, t, text, pooled)), ("vae decode", lambda m: m(z))):
        if time.monotonic() > end - 60:
            results.note(f"{name}: not compiled, too little time left")
            continue
        try:
            compiled = torch.compile(made[name], mode="reduce-overhead")
            results.add(f"{name}, torch.compile", best_of(torch, 5, lambda: call(compiled)))
            made[name] = compiled
        except Exception as error:  # what the compiler lacks on that machine is worth a note, not the run
            results.note(f"{name}: torch.compile failed ({(str(error).splitlines() or [type(error).__name__])[0][:200]})")
            continue
        # With the decoder as it is by now.
        results.add("picture of 20 steps, torch.compile", best_of(torch, 3, lambda: picture(torch, *made.values(), (t, text, pooled))))


if __name__ == "__main__":
    main()
