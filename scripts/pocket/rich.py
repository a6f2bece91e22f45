"""The large model's scenes: styles, one to four things, sizes, places, and backgrounds of several kinds."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from captions import ARRANGED, COLOUR_NAMES, COUNTS, GROUNDS, LAND, SIZES_OF_THINGS, plural, with_article
from scenes import Scene, Shade, Sprites, Thing, choose, draw_scene, shade_of

DrawScene = Callable[..., Scene]
KINDS, KIND_SHARES = ["one", "count", "left", "above"], [0.5, 0.2, 0.2, 0.1]
GROUND_SHARES = {"plain": 0.55, "above": 0.08, "beside": 0.07, "gradient": 0.1, "landscape": 0.1, "snow": 0.05, "beach": 0.05}
# Centres of the things of a group, as parts of the picture's side, and the side of each.
PLACES: dict[int, tuple[list[tuple[float, float]], float]] = {
    2: ([(0.28, 0.5), (0.72, 0.5)], 0.40),
    3: ([(0.5, 0.28), (0.28, 0.7), (0.72, 0.7)], 0.36),
    4: ([(0.28, 0.28), (0.72, 0.28), (0.28, 0.72), (0.72, 0.72)], 0.36),
}
SIDES = {"small": (0.26, 0.36), "": (0.5, 0.68), "big": (0.75, 0.9)}


def pick(rng: np.random.Generator, values: list[str]) -> str:
    return values[rng.integers(len(values))]


def _place(rng: np.random.Generator, kind: str, count: int, picture: int, size: str) -> list[tuple[float, float, float]]:
    """x, y and side of each, in pixels."""
    if kind == "one":
        low, high = SIDES[size]
        side = rng.uniform(low, high)
        room = (1 - side) / 2
        return [(picture * (0.5 + rng.uniform(-room, room) * 0.5), picture * (0.5 + rng.uniform(-room, room) * 0.5), picture * side)]
    centres, side = PLACES[count]
    side *= rng.uniform(0.9, 1.1)
    shift = lambda v: picture * (v + rng.uniform(-0.04, 0.04))
    return [(shift(y), shift(x), picture * side) if kind == "above" else (shift(x), shift(y), picture * side) for x, y in centres]


def _ground(rng: np.random.Generator, colour: str) -> tuple[str, str, Shade]:
    """Words after the things, the blend and the second shade."""
    kinds = list(GROUND_SHARES)
    kind = str(rng.choice(kinds, p=list(GROUND_SHARES.values())))
    second = pick(rng, [c for c in COLOUR_NAMES if c != colour])
    words = pick(rng, GROUNDS[kind]).format(c=colour, d=second)
    if kind in LAND:
        r, g, b = (v + float(rng.uniform(-8, 8)) for v in LAND[kind])
        return words, "landscape", (r, g, b)
    return words, kind, shade_of(second, rng)


def draw_rich_scene(rng: np.random.Generator, sprites: Sprites, picture: int, held_out: bool | None = False, pairs: float = 0.3) -> Scene:
    """`pairs`: the share of scenes with two different things."""
    shares = np.array([0.7 * (1 - pairs), 0.3 * (1 - pairs), pairs * 2 / 3, pairs / 3])
    kind = KINDS[int(rng.choice(len(KINDS), p=shares))]
    colour, which = choose(rng, sprites, 2 if kind in ARRANGED else 1, held_out)
    style = int(rng.integers(len(sprites.styles)))
    names = [sprites.call(i, rng) for i in which]
    count, size = 1, ""
    if kind == "one":
        size = pick(rng, ["", "", "small", "big"])
        words = f"a {pick(rng, SIZES_OF_THINGS[size])} {names[0]}".replace("  ", " ")
    elif kind == "count":
        count = int(rng.choice([2, 3, 4], p=[0.4, 0.4, 0.2]))
        words = f"{pick(rng, COUNTS[count])} {plural(names[0])}"
        which = which * count
    else:
        count = 2
        words = pick(rng, ARRANGED[kind]).format(a=names[0], b=names[1])
    places = _place(rng, kind, count, picture, size)
    ground, blend, other = _ground(rng, colour)
    styled = f", {sprites.styles[style]} style" if rng.random() < 0.7 and len(sprites.styles) > 1 else ""
    caption = with_article(f"{words} {ground}{styled}".replace(" ,", ","))
    things = tuple(Thing(style * len(sprites.names) + i, x, y, side) for i, (x, y, side) in zip(which, places))
    return Scene(caption, colour, shade_of(colour, rng), things, blend, other, kind if kind in ARRANGED else "")


DRAW: dict[str, DrawScene] = {"mini": draw_scene, "gpu": draw_rich_scene}
