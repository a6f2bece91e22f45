"""Latents of scenes, kept and renewed bit by bit, so that no epoch sees the same ones."""
from __future__ import annotations

import numpy as np
import torch

from networks import Autoencoder, Size
from rich import DrawScene
from scenes import Sprites, render
from vocabulary import Vocabulary

AT_ONCE = 64  # pictures


@torch.no_grad()
def latent_scale(vae: Autoencoder, sprites: Sprites, size: Size, draw: DrawScene) -> float:
    """What brings the latents to a standard deviation of 1: diffusers' `scaling_factor`."""
    rng = np.random.default_rng(5)
    pictures = render([draw(rng, sprites, size.picture) for _ in range(AT_ONCE)], sprites, size.picture)
    return 1 / vae.encode(pictures)[0].float().std().item()


class LatentCache:
    def __init__(self, vae: Autoencoder, sprites: Sprites, size: Size, vocabulary: Vocabulary, scale: float, count: int,
                 rng: np.random.Generator, draw: DrawScene):
        self.vae, self.sprites, self.size, self.vocabulary = vae, sprites, size, vocabulary
        self.scale, self.rng, self.draw, self.place = scale, rng, draw, 0
        parts = [self._make(min(AT_ONCE, count - start)) for start in range(0, count, AT_ONCE)]
        self.latents, self.ids = (torch.cat([part[i] for part in parts]) for i in (0, 1))

    @torch.no_grad()
    def _make(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        scenes = [self.draw(self.rng, self.sprites, self.size.picture) for _ in range(count)]
        pictures = render(scenes, self.sprites, self.size.picture)
        mean, _ = self.vae.encode(pictures)
        ids = torch.tensor([self.vocabulary.encode(s.caption) for s in scenes], device=pictures.device)
        return mean * self.scale, ids

    def renew(self, count: int) -> None:
        """The oldest ones are replaced."""
        latents, ids = self._make(count)
        at = [(self.place + i) % len(self.latents) for i in range(count)]
        self.latents[at], self.ids[at] = latents, ids
        self.place = (self.place + count) % len(self.latents)

    def batch(self, count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        at = torch.from_numpy(rng.integers(len(self.latents), size=count)).to(self.latents.device)
        return self.latents[at], self.ids[at].clone()
