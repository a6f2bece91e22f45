"""The noise schedule with zero terminal SNR (Lin et al., 2023), and a plain DDIM sampler over trailing timesteps."""
from __future__ import annotations

from typing import Callable

import torch

from networks import Size


class Noise:
    def __init__(self, device: str | torch.device):
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
        root = (1 - betas).cumprod(0).sqrt()
        root = (root - root[-1]) * root[0] / (root[0] - root[-1])
        self.alpha = root.float().to(device)                       # of the picture
        self.sigma = (1 - root**2).clamp(min=0).sqrt().float().to(device)

    def _at(self, values: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return values[t][:, None, None, None]

    def mix(self, z: torch.Tensor, eps: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self._at(self.alpha, t) * z + self._at(self.sigma, t) * eps

    def velocity(self, z: torch.Tensor, eps: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self._at(self.alpha, t) * eps - self._at(self.sigma, t) * z

    def snr(self, t: torch.Tensor) -> torch.Tensor:
        return (self.alpha[t] / self.sigma[t]) ** 2


@torch.no_grad()
def sample(model: Callable[..., torch.Tensor], noise: Noise, ids: torch.Tensor, empty: torch.Tensor, size: Size,
           seed: int = 0, steps: int = 20, cfg: float = 3.0) -> torch.Tensor:
    """Latents of each row of ids."""
    generator = torch.Generator().manual_seed(seed)
    side = size.picture // 8
    x = torch.randn(len(ids), size.latent, side, side, generator=generator).to(ids.device)
    both = torch.cat([ids, empty.expand_as(ids)])
    times = torch.arange(1000, 0, -1000 / steps).round().long() - 1
    for i, at in enumerate(times.tolist()):
        t = torch.full((len(ids),), at, device=ids.device)
        cond, uncond = model(x.repeat(2, 1, 1, 1), t.repeat(2), both).float().chunk(2)
        v = uncond + cfg * (cond - uncond)
        a, s = noise.alpha[at], noise.sigma[at]
        z, eps = a * x - s * v, s * x + a * v
        if i + 1 == steps:
            return z
        x = noise.alpha[times[i + 1]] * z + noise.sigma[times[i + 1]] * eps
    return x
