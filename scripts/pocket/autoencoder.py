"""Stage 2: the autoencoder. `python autoencoder.py --data DIR --run DIR --minutes 25 [--size mini]`"""
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from networks import SIZES, Autoencoder
from run import Run, learning_rate, write_curves, write_grid
from scenes import Sprites, draw_scene, render


def edges(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def loss_of(model: Autoencoder, x: torch.Tensor) -> torch.Tensor:
    mean, logvar = model.encode(x)
    z = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
    y = model.decode(z).float()
    sharp = sum(F.l1_loss(a, b) for a, b in zip(edges(x), edges(y)))
    mean, logvar = mean.float(), logvar.float()
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    # One factor scales all channels later: keep each at mean 0 and a spread of 1.
    centre = mean.mean((0, 2, 3)).square().mean() + (mean.std((0, 2, 3)) - 1).square().mean()
    return F.l1_loss(x, y) + F.mse_loss(x, y) + sharp + 1e-5 * kl + 1e-2 * centre


@torch.no_grad()
def measure(model: Autoencoder, pictures: torch.Tensor) -> tuple[float, torch.Tensor, float]:
    """PSNR in dB over all pixels, the reconstructions, the standard deviation of the latents."""
    means = [model.encode(p[None])[0] for p in pictures]
    back = torch.cat([model.decode(m) for m in means]).clamp(-1, 1)
    mse = ((back - pictures) / 2).square().mean().item()
    return -10 * np.log10(mse), back, torch.cat(means).std().item()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    size = SIZES[args.size]
    sprites = Sprites(args.data, device)
    model = Autoencoder(size).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.99), weight_decay=1e-4)
    run = Run(args.run, "autoencoder", args.minutes)
    if state := run.load():
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
    rng = np.random.default_rng(1000 + run.step)
    fixed_rng = np.random.default_rng(7)
    fixed = render([draw_scene(fixed_rng, sprites, size.picture, None) for _ in range(24)], sprites, size.picture)

    def checkpoint() -> None:
        run.save(model=model.state_dict(), optimiser=optimiser.state_dict())

    going = True
    while going:
        scenes = [draw_scene(rng, sprites, size.picture, None, pairs=0.4) for _ in range(args.batch)]
        pictures = render(scenes, sprites, size.picture)
        cut, room = args.crop, size.picture - args.crop + 1
        x = torch.stack([p[:, r : r + cut, c : c + cut] for p, r, c in
                         zip(pictures, rng.integers(room, size=args.batch), rng.integers(room, size=args.batch))])
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(run.step, 100, run.spent / 60 / args.minutes, args.lr)
        with torch.autocast(device, torch.bfloat16, enabled=args.bf16):
            loss = loss_of(model, x)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        going = run.tick()
        if run.step % 200 == 0 or not going:
            psnr, back, spread = measure(model, fixed)
            run.log(loss=loss.item(), psnr=psnr, spread=spread, crops=run.step * args.batch)
            write_grid(args.run / "autoencoder.png", torch.stack([fixed[:12], back[:12]], 1).flatten(0, 1), 8)
            write_curves(args.run / "autoencoder-curves.png", run.rows(), ["loss", "psnr"])
            checkpoint()


if __name__ == "__main__":
    main()
