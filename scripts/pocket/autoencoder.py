"""Stage 2: the autoencoder. `python autoencoder.py --data DIR --run DIR --minutes 25 [--size mini]`"""
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from linear import linear_latents, start_linear
from networks import SIZES, Autoencoder
from rich import DRAW
from run import Run, learning_rate, write_curves, write_grid
from scenes import Sprites, render
from workers import Workers, start


def edges(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def loss_of(model: Autoencoder, x: torch.Tensor, exact: bool) -> torch.Tensor:
    """`exact`: encode in float32. Beside a linear encoder's constants bfloat16 has few digits left for the values."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=torch.is_autocast_enabled(x.device.type) and not exact):
        mean, logvar = model.encode(x)
    z = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
    y = model.decode(z).float()
    sharp = sum(F.l1_loss(a, b) for a, b in zip(edges(x), edges(y)))
    mean, logvar = mean.float(), logvar.float()
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    # One factor scales all channels later: keep each at mean 0 and a spread of 1.
    centre = mean.mean((0, 2, 3)).square().mean() + (mean.std((0, 2, 3)) - 1).square().mean()
    return F.l1_loss(x, y) + F.mse_loss(x, y) + sharp + 1e-5 * kl + 1e-2 * centre


def decoder_loss(model: Autoencoder, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """With the latents given, and a little noise on them: a UNet's are not exact."""
    y = model.decode(z + 0.05 * torch.randn_like(z)).float()
    sharp = sum(F.l1_loss(a, b) for a, b in zip(edges(x), edges(y)))
    return F.l1_loss(x, y) + F.mse_loss(x, y) + sharp


@torch.no_grad()
def measure(model: Autoencoder, pictures: torch.Tensor) -> tuple[float, torch.Tensor, float]:
    """PSNR in dB over all pixels, the reconstructions, the standard deviation of the latents."""
    means = [model.encode(p[None])[0] for p in pictures]
    back = torch.cat([model.decode(m) for m in means]).clamp(-1, 1)
    mse = ((back - pictures) / 2).square().mean().item()
    return -10 * np.log10(mse), back, torch.cat(means).std().item()


def train(args: argparse.Namespace, workers: Workers) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    size, draw = SIZES[args.size], DRAW[args.size]
    sprites = Sprites(args.data, device)
    model = Autoencoder(size).to(device)
    learning = [*model.decoder.parameters(), *model.post_quant_conv.parameters()] if args.decoder_only else [*model.parameters()]
    model.requires_grad_(False)
    for parameter in learning:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(learning, lr=args.lr, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
    run = Run(args.run, "autoencoder", args.minutes, workers)
    if state := run.load():
        model.load_state_dict(state["model"])
        if state["decoder_only"] == args.decoder_only:
            optimiser.load_state_dict(state["optimiser"])
    encode = None
    if args.linear:
        scenes = render([draw(np.random.default_rng([6, i]), sprites, size.picture) for i in range(200)], sprites, size.picture)
        if state is None:
            start_linear(model, size, scenes)
        if args.decoder_only:
            encode = linear_latents(scenes, size.latent)
    samples = state["samples"] if state else 0
    rng = np.random.default_rng([1000, run.step, workers.rank])
    torch.manual_seed(int(rng.integers(1 << 30)))
    fixed_rng = np.random.default_rng(7)
    fixed = render([draw(fixed_rng, sprites, size.picture, None) for _ in range(24)], sprites, size.picture)

    going = True
    while going:
        x = render([draw(rng, sprites, size.picture, None, pairs=0.4) for _ in range(args.batch)], sprites, size.picture)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(run.step, 100, workers.share(run.spent / 60 / args.minutes), args.lr)
        with torch.autocast(device, torch.bfloat16, enabled=args.bf16):
            loss = loss_of(model, x, args.linear) if encode is None else decoder_loss(model, x, encode(x))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        workers.average_gradients(learning)
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimiser.step()
        samples += args.batch * workers.count
        going = run.tick()
        if workers.leads and (run.step % args.every == 0 or not going):
            psnr, back, spread = measure(model, fixed)
            run.log(loss=loss.item(), psnr=psnr, spread=spread, samples=samples)
            write_grid(args.run / "autoencoder.png", torch.stack([fixed[:12], back[:12]], 1).flatten(0, 1), 8)
            write_curves(args.run / "autoencoder-curves.png", run.rows(), ["loss", "psnr"])
            run.save(model=model.state_dict(), optimiser=optimiser.state_dict(), samples=samples,
                     decoder_only=args.decoder_only)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--batch", type=int, default=8, help="of each worker")
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--linear", action="store_true", help="begin with an encoder of principal components")
    parser.add_argument("--decoder-only", action="store_true", help="leave the latents as a UNet knows them")
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    start(args.workers, train, args)


if __name__ == "__main__":
    main()
