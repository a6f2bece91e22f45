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

from networks import SIZES, Autoencoder, Size, Text, Unet
from noise import Noise, sample
from run import Run, learning_rate, write_curves, write_grid
from scenes import COLOUR_NAMES, Scene, Sprites, draw_scene, render, with_article
from vocabulary import Vocabulary, learn_merges

GAP_AT = (500, 700, 900)
LEAST_GAP, GAP_BY = 0.03, 200  # a run whose gap at 900 is smaller by that step ignores its text


class Model(nn.Module):
    def __init__(self, size: Size, vocabulary: int):
        super().__init__()
        self.text, self.unet = Text(size, vocabulary), Unet(size)

    def forward(self, x: torch.Tensor, t: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return self.unet(x, t, *self.text(ids))


class LatentCache:
    """Scenes and their latents, some of them replaced at every step, so that no epoch sees the same ones."""

    def __init__(self, vae: Autoencoder, sprites: Sprites, size: Size, vocabulary: Vocabulary, scale: float, count: int,
                 rng: np.random.Generator, bf16: bool):
        self.parts, self.count = (vae, sprites, size, vocabulary, scale, rng, bf16), count
        self.latents: torch.Tensor | None = None
        while self.latents is None or len(self.latents) < count:
            latents, ids = self._make(min(64, count))
            self.latents = latents if self.latents is None else torch.cat([self.latents, latents])
            self.ids = ids if len(self.latents) == len(latents) else torch.cat([self.ids, ids])
        self.place = 0

    @torch.no_grad()
    def _make(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        vae, sprites, size, vocabulary, scale, rng, bf16 = self.parts
        scenes = [draw_scene(rng, sprites, size.picture) for _ in range(count)]
        pictures = render(scenes, sprites, size.picture)
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=bf16):
            mean, _ = vae.encode(pictures)
        ids = torch.tensor([vocabulary.encode(s.caption) for s in scenes], device=pictures.device)
        return mean.float() * scale, ids

    def renew(self, count: int) -> None:
        latents, ids = self._make(count)
        at = [(self.place + i) % len(self.latents) for i in range(count)]
        self.latents[at], self.ids[at] = latents, ids
        self.place = (self.place + count) % len(self.latents)

    def batch(self, count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        at = torch.from_numpy(rng.integers(len(self.latents), size=count)).to(self.latents.device)
        return self.latents[at], self.ids[at].clone()


def timesteps(count: int, rng: np.random.Generator, device: str) -> torch.Tensor:
    """Uniform for half of them, from the noisier half for the rest: what is where is decided there."""
    u = rng.random(count)
    return torch.from_numpy((1000 * np.where(rng.random(count) < 0.5, u, 0.5 + 0.5 * u)).astype(np.int64)).to(device).clamp(max=999)


def loss_of(model: Model, noise: Noise, z: torch.Tensor, ids: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Min-SNR-5 weighted v loss (Hang et al., 2023), per sample."""
    eps = torch.randn_like(z)
    v = model(noise.mix(z, eps, t), t, ids).float()
    each = F.mse_loss(v, noise.velocity(z, eps, t), reduction="none").mean((1, 2, 3))
    snr = noise.snr(t)
    return each * snr.clamp(max=5) / (snr + 1) * 1.2 + each * 0.2 * (snr < 0.05)


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


def read_vocabulary(path: Path, sprites: Sprites, size: Size) -> Vocabulary:
    rng = np.random.default_rng(11)
    captions = [draw_scene(rng, sprites, size.picture, None).caption for _ in range(4000)]
    vocabulary = Vocabulary(learn_merges(captions, size.merges), size.window)
    vocabulary.save(path)
    words = sorted({w for s in sprites.synonyms for n in s for w in n.split()} | {w for c in captions for w in c.replace(",", " ").split()})
    (path / "words.txt").write_text(" ".join(words))
    return vocabulary


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--cache", type=int, default=6000)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    size = SIZES[args.size]
    sprites = Sprites(args.data, device)
    vocabulary = read_vocabulary(args.run / "tokenizer", sprites, size)
    vae = Autoencoder(size).to(device).eval()
    vae.load_state_dict(torch.load(args.run / "autoencoder.pt", map_location=device, weights_only=True)["model"])
    model = Model(size, len(vocabulary.ids)).to(device)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.99), weight_decay=1e-2)
    noise = Noise(device)
    run = Run(args.run, "diffusion", args.minutes)
    state = run.load()
    if state:
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
    rng = np.random.default_rng(2000 + run.step)
    scale = state["scale"] if state else latent_scale(vae, sprites, size)
    cache = LatentCache(vae, sprites, size, vocabulary, scale, args.cache, rng, args.bf16)
    empty = torch.tensor(vocabulary.encode(""), device=device)
    prompts = grid_prompts(sprites)
    prompt_ids = torch.tensor([vocabulary.encode(p) for p in prompts], device=device)
    (args.run / "prompts.txt").write_text("\n".join(prompts))

    going, smooth = True, None
    while going:
        z, ids = cache.batch(args.batch, rng)
        ids[torch.from_numpy(rng.random(args.batch) < 0.1).to(device)] = empty
        t = timesteps(args.batch, rng, device)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(run.step, 200, run.spent / 60 / args.minutes, args.lr)
        with torch.autocast(device, torch.bfloat16, enabled=args.bf16):
            loss = loss_of(model, noise, z, ids, t).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        decay = min(0.999, (run.step + 1) / (run.step + 20))
        for a, b in zip(average.parameters(), model.parameters()):
            a.lerp_(b.detach(), 1 - decay)
        cache.renew(4)
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        going = run.tick()
        if run.step % 50 == 0:
            with torch.autocast(device, torch.bfloat16, enabled=args.bf16):
                gaps = caption_gap(model, noise, *cache.batch(args.batch, rng))
            run.log(loss=smooth, samples=run.step * args.batch, **gaps)
            if run.step == GAP_BY and gaps["gap900"] < LEAST_GAP:
                raise SystemExit(f"the text is ignored: gap {gaps['gap900']:.4f} at t = 900 by step {GAP_BY}")
        if run.step % 500 == 0 or not going:
            with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=args.bf16):
                latents = sample(average, noise, prompt_ids, empty, size, seed=1)
                pictures = vae.decode(latents / scale)
            write_grid(args.run / "diffusion.png", pictures, 8)
            write_curves(args.run / "diffusion-curves.png", run.rows(), ["loss", *(f"gap{t}" for t in GAP_AT)])
            run.save(model=model.state_dict(), average=average.state_dict(), optimiser=optimiser.state_dict(), scale=scale)


@torch.no_grad()
def latent_scale(vae: Autoencoder, sprites: Sprites, size: Size) -> float:
    rng = np.random.default_rng(5)
    pictures = render([draw_scene(rng, sprites, size.picture) for _ in range(64)], sprites, size.picture)
    return 1 / vae.encode(pictures)[0].float().std().item()


if __name__ == "__main__":
    main()
