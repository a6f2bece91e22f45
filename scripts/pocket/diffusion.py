"""Stage 3: text transformer and UNet on the autoencoder's latents.
`python diffusion.py --data DIR --run DIR --minutes 90 [--size mini] [--bf16]`"""
from __future__ import annotations

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from captions import COLOUR_NAMES, with_article
from latents import LatentCache, latent_scale
from networks import SIZES, Autoencoder, Model, Size
from noise import Noise, sample
from rich import DRAW, DrawScene
from run import Run, learning_rate, write_curves, write_grid
from scenes import Sprites
from vocabulary import Vocabulary, learn_merges, load
from workers import Workers, start

GAP_AT = (500, 700, 900)
LEAST_GAP, GAP_BY = 0.03, 200  # a run whose gap at 900 is smaller by that step ignores its text


def timesteps(count: int, rng: np.random.Generator, device: str) -> torch.Tensor:
    """Uniform for half of them, from the noisier half for the rest: what is where is decided there."""
    u = rng.random(count)
    return torch.from_numpy((1000 * np.where(rng.random(count) < 0.5, u, 0.5 + 0.5 * u)).astype(np.int64)).to(device).clamp(max=999)


def loss_of(model: Model, noise: Noise, z: torch.Tensor, ids: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """v loss per sample, with the weights of min-SNR-5 (Hang et al., 2023). Written for v a zero terminal SNR needs the 1:
    otherwise nothing is learned where the picture is all noise and the text alone decides."""
    eps = torch.randn_like(z)
    v = model(noise.mix(z, eps, t), t, ids).float()
    each = F.mse_loss(v, noise.velocity(z, eps, t), reduction="none").mean((1, 2, 3))
    snr = noise.snr(t) + 1
    return each * snr.clamp(max=5) / snr


@torch.no_grad()
def caption_gap(model: Model, noise: Noise, z: torch.Tensor, ids: torch.Tensor) -> dict[str, float]:
    """How much worse the prediction gets with other pictures' captions, at some noise levels."""
    gaps = {}
    for at in GAP_AT:
        t = torch.full((len(z),), at, device=z.device)
        eps = torch.randn_like(z)
        x, v = noise.mix(z, eps, t), noise.velocity(z, eps, t)
        right, wrong = (F.mse_loss(model(x, t, i).float(), v).item() for i in (ids, ids.roll(1, 0)))
        gaps[f"gap{at}"] = wrong - right
    return gaps


def grid_prompts(sprites: Sprites) -> list[str]:
    rng = np.random.default_rng(3)
    prompts = []
    for i in range(20):
        name, colour = sprites.names[(i * 13) % len(sprites.names)], COLOUR_NAMES[rng.integers(len(COLOUR_NAMES))]
        prompts.append(with_article(f"a {name} on a {colour} background"))
    return [*prompts, "a cat to the left of a dog on a white background", "an apple and a banana on a blue background",
            "a car to the left of a house on a green background", "a star and a heart on a black background"]


def read_vocabulary(path: Path, sprites: Sprites, size: Size, draw: DrawScene) -> Vocabulary:
    """The run's own where it has one: a model's rows are its tokens'."""
    if (path / "merges.txt").exists():
        return load(path, size.window)
    rng = np.random.default_rng(11)
    captions = [draw(rng, sprites, size.picture, None).caption for _ in range(4000 if len(sprites.names) < 100 else 40000)]
    vocabulary = Vocabulary(learn_merges(captions, size.merges), size.window)
    vocabulary.save(path)
    words = sorted({w for s in sprites.synonyms for n in s for w in n.split()} | {w for c in captions for w in c.replace(",", " ").split()})
    (path / "words.txt").write_text(" ".join(words))
    return vocabulary


class Training:
    """What goes through a training's checkpoints."""

    def __init__(self, args: argparse.Namespace, run: Run, size: Size, vocabulary: Vocabulary, device: str):
        self.model = Model(size, len(vocabulary.ids)).to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=args.lr, betas=(0.9, 0.99), weight_decay=1e-2, fused=True)
        self.run, self.samples, self.scale, self.decay = run, 0, None, args.ema
        if state := run.load():
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            if state["optimiser"]:
                self.optimiser.load_state_dict(state["optimiser"])
            self.samples, self.scale = state["samples"], state["scale"]

    def step(self, loss: torch.Tensor, workers: Workers, lr: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        workers.average_gradients(self.model.parameters())
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        decay = min(self.decay, (self.run.step + 1) / (self.run.step + 20))
        torch._foreach_lerp_(list(self.average.parameters()), [p.detach() for p in self.model.parameters()], 1 - decay)

    def save(self) -> None:
        self.run.save(model=self.model.state_dict(), average=self.average.state_dict(), optimiser=self.optimiser.state_dict(),
                      samples=self.samples, scale=self.scale)


def read_autoencoder(args: argparse.Namespace, size: Size, device: str) -> Autoencoder:
    path = args.run / "autoencoder.pt"
    vae = Autoencoder(size).to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    vae.load_state_dict(torch.load(path, map_location=device, weights_only=True)["model"])
    return vae


def train(args: argparse.Namespace, workers: Workers) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    size, draw = SIZES[args.size], DRAW[args.size]
    sprites = Sprites(args.data, device)
    vocabulary = read_vocabulary(args.run / "tokenizer", sprites, size, draw)
    vae = read_autoencoder(args, size, device)
    noise = Noise(device)
    run = Run(args.run, "diffusion", args.minutes, workers)
    training = Training(args, run, size, vocabulary, device)
    model = training.model
    rng = np.random.default_rng([2000, run.step, workers.rank])
    torch.manual_seed(int(rng.integers(1 << 30)))
    training.scale = training.scale or latent_scale(vae, sprites, size, draw)
    cache = LatentCache(vae, sprites, size, vocabulary, training.scale, args.cache, rng, draw)
    empty = torch.tensor(vocabulary.encode(""), device=device)
    prompts = grid_prompts(sprites)
    prompt_ids = torch.tensor([vocabulary.encode(p) for p in prompts], device=device)
    (args.run / "prompts.txt").write_text("\n".join(prompts))

    going, smooth = True, None
    while going:
        z, ids = cache.batch(args.batch, rng)
        z = z.contiguous(memory_format=torch.channels_last)
        ids[torch.from_numpy(rng.random(args.batch) < 0.1).to(device)] = empty
        with torch.autocast(device, torch.bfloat16, enabled=args.bf16):
            loss = loss_of(model, noise, z, ids, timesteps(args.batch, rng, device)).mean()
        done = workers.share(run.spent / 60 / args.minutes)
        training.step(loss, workers, learning_rate(run.step, 200, done, args.lr))
        training.samples += args.batch * workers.count
        cache.renew(args.renew)
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        going = run.tick()
        if run.step % 50 == 0:
            with torch.autocast(device, torch.bfloat16, enabled=args.bf16):
                gaps = caption_gap(model, noise, *cache.batch(max(64, args.batch), rng))
            if workers.leads:
                run.log(loss=smooth, samples=training.samples, **gaps)
            if run.step == GAP_BY and workers.share(gaps["gap900"]) < LEAST_GAP:
                raise SystemExit(f"the text is ignored: gap {gaps['gap900']:.4f} at t = 900 by step {GAP_BY}")
        if workers.leads and (run.step % args.every == 0 or not going):
            training.save()
        if workers.leads and (run.step % (4 * args.every) == 0 or not going):
            with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=args.bf16):
                pictures = vae.decode(sample(training.average, noise, prompt_ids, empty, size, seed=1) / training.scale)
            write_grid(args.run / "diffusion.png", pictures, 8)
            write_curves(args.run / "diffusion-curves.png", run.rows(), ["loss", *(f"gap{t}" for t in GAP_AT)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--batch", type=int, default=16, help="of each worker")
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--cache", type=int, default=2000, help="latents kept by each worker")
    parser.add_argument("--renew", type=int, default=2, help="of them after each step")
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    parser.add_argument("--ema", type=float, default=0.998)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    start(args.workers, train, args)


if __name__ == "__main__":
    main()
