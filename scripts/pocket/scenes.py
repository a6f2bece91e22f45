"""Scenes of emoji artwork on plain backgrounds, and what people would call them."""
from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40), "orange": (245, 140, 30), "yellow": (250, 215, 50), "green": (60, 160, 70),
    "blue": (45, 95, 215), "light blue": (140, 200, 245), "purple": (130, 60, 180), "pink": (245, 150, 190),
    "brown": (125, 80, 45), "white": (248, 248, 248), "gray": (135, 135, 135), "black": (20, 20, 20),
}
COLOUR_NAMES = list(COLOURS)

ONE = ["a {a} on a {c} background", "{a}, {c} background", "a {a} on {c}", "a picture of a {a} on a {c} background",
       "a {a} in front of a {c} background", "one {a} on a {c} background"]
TWO = ["a {a} to the left of a {b} on a {c} background", "a {a} and a {b} on a {c} background",
       "a {b} to the right of a {a}, {c} background", "a {a} left of a {b}, {c} background"]


@dataclass(frozen=True)
class Thing:
    index: int
    x: float      # centre, in pixels of the picture
    y: float
    side: float   # of its square, in pixels


@dataclass(frozen=True)
class Scene:
    caption: str
    colour: str
    shade: tuple[float, float, float]  # 0 … 255
    things: tuple[Thing, ...]


def is_held_out(name: str, colour: str) -> bool:
    """Whether this thing on this background is kept for the evaluation: about one pair in eight."""
    return zlib.crc32(f"{name}/{colour}".encode()) % 8 == 0


class Sprites:
    """RGBA artwork, premultiplied, as float [things, 4, size, size] in 0 … 1."""

    def __init__(self, folder: Path, device: torch.device | str = "cpu"):
        facts = json.loads((folder / "sprites.json").read_text())
        self.size: int = facts["size"]
        self.names: list[str] = facts["names"]
        self.synonyms: list[list[str]] = facts["synonyms"]
        raw = np.frombuffer((folder / "sprites.bin").read_bytes(), np.uint8)
        rgba = torch.from_numpy(raw.reshape(len(self.names), self.size, self.size, 4).copy()).to(device).float() / 255
        rgba = rgba.permute(0, 3, 1, 2)
        self.images = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1).contiguous()


def with_article(text: str) -> str:
    words = text.split(" ")
    for i in range(len(words) - 1):
        if words[i] == "a" and words[i + 1][0] in "aeiou":
            words[i] = "an"
    return " ".join(words)


def draw_scene(rng: np.random.Generator, sprites: Sprites, picture: int, held_out: bool | None = False,
               pairs: float = 0.25) -> Scene:
    """A scene of one or two things. `held_out`: only pairs of thing and colour that are, or are not, held out."""
    two = rng.random() < pairs
    while True:
        colour = COLOUR_NAMES[rng.integers(len(COLOUR_NAMES))]
        which = rng.choice(len(sprites.names), 2 if two else 1, replace=False)
        held = [is_held_out(sprites.names[i], colour) for i in which]
        if held_out is None or (all(held) if held_out else not any(held)):
            break
    shade = np.clip(np.array(COLOURS[colour]) + rng.uniform(-10, 10, 3), 0, 255)
    things = []
    for place, index in enumerate(which):
        side = picture * (rng.uniform(0.40, 0.46) if two else rng.uniform(0.66, 0.76))
        x = picture * ((0.27 if place == 0 else 0.73) if two else 0.5) + rng.uniform(-1, 1) * picture * (0.015 if two else 0.025)
        y = picture * 0.5 + rng.uniform(-1, 1) * picture * 0.025
        things.append(Thing(int(index), x, y, side))
    names = [sprites.synonyms[i][rng.integers(len(sprites.synonyms[i]))] for i in which]
    template = (TWO if two else ONE)[rng.integers(len(TWO if two else ONE))]
    caption = with_article(template.format(a=names[0], b=names[-1], c=colour))
    return Scene(caption, colour, (float(shade[0]), float(shade[1]), float(shade[2])), tuple(things))


def render(scenes: list[Scene], sprites: Sprites, picture: int) -> torch.Tensor:
    """[scenes, 3, picture, picture] in -1 … 1."""
    device = sprites.images.device
    canvas = torch.tensor([s.shade for s in scenes], device=device).float()[:, :, None, None] / 255
    canvas = canvas.expand(-1, -1, picture, picture).clone()
    for layer in range(max(len(s.things) for s in scenes)):
        rows = [i for i, s in enumerate(scenes) if len(s.things) > layer]
        things = [scenes[i].things[layer] for i in rows]
        k = torch.tensor([picture / t.side for t in things], device=device)
        dx = torch.tensor([(2 * t.x / picture - 1) for t in things], device=device)
        dy = torch.tensor([(2 * t.y / picture - 1) for t in things], device=device)
        zero = torch.zeros_like(k)
        theta = torch.stack([torch.stack([k, zero, -k * dx], 1), torch.stack([zero, k, -k * dy], 1)], 1)
        grid = F.affine_grid(theta, [len(rows), 4, picture, picture], align_corners=False)
        drawn = F.grid_sample(sprites.images[[t.index for t in things]], grid, align_corners=False)
        canvas[rows] = drawn[:, :3] + canvas[rows] * (1 - drawn[:, 3:])
    return canvas * 2 - 1
