"""What is on a picture, found by matching the artwork itself: nothing here is learned, least of all from generated pictures.

The background's colour is the median of the rim. Things are taken off one after another: of all artwork at all sizes and
places the one that explains most of what differs from the picture so far is put there, as long as one explains enough."""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from captions import COLOURS
from scenes import Scene, Sprites

SIDE = 32                # pixels a side at which things are compared
LEAST_EXPLAINED = 0.3    # of the artwork's own difference from what is behind it
SCALES = (0.27, 0.31, 0.35, 0.39, 0.43, 0.47, 0.52, 0.57, 0.62, 0.67, 0.72, 0.77, 0.84)


@dataclass(frozen=True)
class Found:
    thing: int  # of the names
    x: float    # centre, 0 … 1
    y: float


@dataclass(frozen=True)
class Score:
    colour: bool
    thing: bool      # of all that are named, and no other in its place
    count: bool
    position: bool | None


def background(picture: torch.Tensor) -> tuple[str, torch.Tensor]:
    """[3, h, w] in -1 … 1: the nearest of the named colours, and the rim's median [3]."""
    rim = max(1, picture.shape[-1] // 24)
    pixels = torch.cat([picture[:, :rim].flatten(1), picture[:, -rim:].flatten(1), picture[:, :, :rim].flatten(1), picture[:, :, -rim:].flatten(1)], 1)
    shade = pixels.median(1).values
    named = torch.tensor(list(COLOURS.values())) / 127.5 - 1
    return list(COLOURS)[int((named - shade).norm(dim=1).argmin())], shade


class Matcher:
    def __init__(self, sprites: Sprites, scales: tuple[float, ...] = SCALES):
        self.names = len(sprites.names)
        self.templates = [F.interpolate(sprites.images, size=round(scale * SIDE), mode="area") for scale in scales]

    def find(self, picture: torch.Tensor, most: int) -> list[Found]:
        shade = background(picture)[1]
        rest = F.interpolate(picture[None], size=SIDE, mode="area")[0] - shade[:, None, None]
        found: list[Found] = []
        while len(found) < most:
            best: tuple[float, float, int, int, int, torch.Tensor] | None = None
            for templates in self.templates:
                # On a flat ground: colour times cover, less the ground that it hides. Artwork is in 0 … 1.
                shapes = 2 * templates[:, :3] - templates[:, 3:] * (1 + shade[:, None, None])
                side = shapes.shape[-1]
                pad = side // 6
                energy = shapes.square().sum((1, 2, 3))
                explained = 2 * F.conv2d(rest[None], shapes, padding=pad)[0] - energy[:, None, None]
                value, at = explained.flatten(1).max(1)
                which = int(value.argmax())
                if best is None or value[which] > best[0]:
                    row, column = divmod(int(at[which]), explained.shape[-1])
                    best = (float(value[which]), float(energy[which]), which, row - pad, column - pad, shapes[which])
            if best is None or best[0] < LEAST_EXPLAINED * best[1]:
                break
            _, _, which, top, left, shape = best
            side = shape.shape[-1]
            found.append(Found(which % self.names, (left + side / 2) / SIDE, (top + side / 2) / SIDE))
            whole = torch.zeros(3, 3 * SIDE, 3 * SIDE)
            whole[:, SIDE + top : SIDE + top + side, SIDE + left : SIDE + left + side] = shape
            rest = rest - whole[:, SIDE : 2 * SIDE, SIDE : 2 * SIDE]
        return found


def score(picture: torch.Tensor, scene: Scene, sprites: Sprites, matcher: Matcher) -> Score:
    named = [thing.index % len(sprites.names) for thing in scene.things]
    found = matcher.find(picture, len(named) + 1)
    kept = found[: len(named)]
    right = sorted(f.thing for f in kept) == sorted(named)
    position = None
    if scene.arranged:
        first, second = (next((f for f in kept if f.thing == n), None) for n in named[:2])
        along = (lambda f: f.x) if scene.arranged == "left" else (lambda f: f.y)
        position = first is not None and second is not None and along(first) < along(second)
    return Score(background(picture)[0] == scene.colour, right, len(found) == len(named), position)


def shares(scores: list[Score]) -> dict[str, float]:
    """In percent."""
    placed = [s.position for s in scores if s.position is not None]
    percent = lambda values: round(100 * sum(values) / max(1, len(values)), 1)
    return {"colour": percent([s.colour for s in scores]), "thing": percent([s.thing for s in scores]),
            "count": percent([s.count for s in scores]), "position": percent(placed)}
