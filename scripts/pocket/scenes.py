"""Scenes of emoji artwork, and what people would call them."""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from captions import COLOUR_NAMES, COLOURS, LEFT_RIGHT, ONE, is_held_out, with_article

Shade = tuple[float, float, float]  # 0 … 255
# How much of the second shade is where: by rows and columns from 0 to 1.
BLENDS = {"plain": lambda y, x: 0 * y, "above": lambda y, x: (y > 0.5).float(), "beside": lambda y, x: (x > 0.5).float(),
          "gradient": lambda y, x: y, "landscape": lambda y, x: (y > 0.62).float()}


@dataclass(frozen=True)
class Thing:
    index: int    # of its artwork
    x: float      # centre, in pixels of the picture
    y: float
    side: float   # of its square, in pixels


@dataclass(frozen=True)
class Scene:
    caption: str
    colour: str   # of the background, or of its first part
    shade: Shade
    things: tuple[Thing, ...]
    blend: str = "plain"
    other: Shade = (0.0, 0.0, 0.0)
    arranged: str = ""  # "left" or "above" where the caption says so of the first thing


class Sprites:
    """RGBA artwork, premultiplied, as float [styles × things, 4, size, size] in 0 … 1."""

    def __init__(self, folder: Path, device: torch.device | str = "cpu"):
        facts = json.loads((folder / "sprites.json").read_text())
        self.size: int = facts["size"]
        self.styles: list[str] = facts["styles"]
        self.names: list[str] = facts["names"]
        self.synonyms: list[list[str]] = facts["synonyms"]
        raw = np.frombuffer((folder / "sprites.bin").read_bytes(), np.uint8)
        count = len(self.styles) * len(self.names)
        rgba = torch.from_numpy(raw.reshape(count, self.size, self.size, 4).copy()).to(device).float() / 255
        rgba = rgba.permute(0, 3, 1, 2)
        self.images = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1).contiguous()

    def name(self, index: int) -> str:
        return self.names[index % len(self.names)]

    def style(self, index: int) -> str:
        return self.styles[index // len(self.names)]

    def call(self, thing: int, rng: np.random.Generator) -> str:
        return self.synonyms[thing][rng.integers(len(self.synonyms[thing]))]


def shade_of(colour: str, rng: np.random.Generator) -> Shade:
    r, g, b = np.clip(np.array(COLOURS[colour]) + rng.uniform(-10, 10, 3), 0, 255)
    return float(r), float(g), float(b)


def choose(rng: np.random.Generator, sprites: Sprites, kinds: int, held_out: bool | None) -> tuple[str, list[int]]:
    """A colour and so many things of which each is (not) held out with that colour; None: either way."""
    while True:
        colour = COLOUR_NAMES[rng.integers(len(COLOUR_NAMES))]
        which = [int(i) for i in rng.choice(len(sprites.names), kinds, replace=False)]
        held = [is_held_out(sprites.names[i], colour) for i in which]
        if held_out is None or (all(held) if held_out else not any(held)):
            return colour, which


def draw_scene(rng: np.random.Generator, sprites: Sprites, picture: int, held_out: bool | None = False, pairs: float = 0.25) -> Scene:
    """The small model's: one or two things, always in the same places give or take three pixels, on a plain background."""
    two = rng.random() < pairs
    colour, which = choose(rng, sprites, 2 if two else 1, held_out)
    things = []
    for place, index in enumerate(which):
        side = picture * (rng.uniform(0.40, 0.46) if two else rng.uniform(0.66, 0.76))
        x = picture * ((0.27 if place == 0 else 0.73) if two else 0.5) + rng.uniform(-1, 1) * picture * (0.015 if two else 0.025)
        y = picture * 0.5 + rng.uniform(-1, 1) * picture * 0.025
        things.append(Thing(index, x, y, side))
    names = [sprites.call(i, rng) for i in which]
    templates = LEFT_RIGHT if two else ONE
    caption = with_article(templates[rng.integers(len(templates))].format(a=names[0], b=names[-1], c=colour))
    return Scene(caption, colour, shade_of(colour, rng), tuple(things), arranged="left" if two else "")


def backgrounds(scenes: list[Scene], picture: int, device: torch.device | str) -> torch.Tensor:
    """[scenes, 3, picture, picture] in 0 … 1."""
    at = (torch.arange(picture, device=device) + 0.5) / picture
    y, x = at[:, None].expand(picture, picture), at[None, :].expand(picture, picture)
    maps = {name: blend(y, x) for name, blend in BLENDS.items()}
    mixed = torch.stack([maps[s.blend] for s in scenes])[:, None]
    first, other = (torch.tensor(shades, device=device).float()[:, :, None, None] / 255
                    for shades in ([s.shade for s in scenes], [s.other for s in scenes]))
    return first + (other - first) * mixed


def render(scenes: list[Scene], sprites: Sprites, picture: int) -> torch.Tensor:
    """[scenes, 3, picture, picture] in -1 … 1, on the sprites' device."""
    device = sprites.images.device
    canvas = backgrounds(scenes, picture, device)
    for layer in range(max(len(s.things) for s in scenes)):
        rows = [i for i, s in enumerate(scenes) if len(s.things) > layer]
        drawn = draw_things([scenes[i].things[layer] for i in rows], sprites, picture)
        canvas[rows] = drawn[:, :3] + canvas[rows] * (1 - drawn[:, 3:])
    return canvas * 2 - 1


def draw_things(things: list[Thing], sprites: Sprites, picture: int) -> torch.Tensor:
    """Each alone on nothing: premultiplied [things, 4, picture, picture]."""
    device = sprites.images.device
    k, dx, dy = (torch.tensor(values, device=device) for values in (
        [picture / t.side for t in things], [2 * t.x / picture - 1 for t in things], [2 * t.y / picture - 1 for t in things]))
    zero = torch.zeros_like(k)
    theta = torch.stack([torch.stack([k, zero, -k * dx], 1), torch.stack([zero, k, -k * dy], 1)], 1)
    grid = F.affine_grid(theta, [len(things), 4, picture, picture], align_corners=False)
    return F.grid_sample(sprites.images[[t.index for t in things]], grid, align_corners=False)
