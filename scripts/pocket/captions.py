"""Words for scenes: colours, templates, articles, plurals."""
from __future__ import annotations

import zlib

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40), "orange": (245, 140, 30), "yellow": (250, 215, 50), "green": (60, 160, 70),
    "blue": (45, 95, 215), "light blue": (140, 200, 245), "purple": (130, 60, 180), "pink": (245, 150, 190),
    "brown": (125, 80, 45), "white": (248, 248, 248), "gray": (135, 135, 135), "black": (20, 20, 20),
}
COLOUR_NAMES = list(COLOURS)

ONE = ["a {a} on a {c} background", "{a}, {c} background", "a {a} on {c}", "a picture of a {a} on a {c} background",
       "a {a} in front of a {c} background", "one {a} on a {c} background"]
LEFT_RIGHT = ["a {a} to the left of a {b} on a {c} background", "a {a} and a {b} on a {c} background",
              "a {b} to the right of a {a}, {c} background", "a {a} left of a {b}, {c} background"]

# What {c} background becomes where the background is not plain. {c} is above, left or the sky, {d} the other.
GROUNDS: dict[str, list[str]] = {
    "plain": ["on a {c} background", "in front of a {c} background", "on {c}", ", {c} background"],
    "above": ["on a background that is {c} above and {d} below", "with {c} above {d}"],
    "beside": ["on a background that is {c} on the left and {d} on the right", "on {c} and {d}"],
    "gradient": ["on a background fading from {c} to {d}", "on a {c} to {d} gradient"],
    "landscape": ["in a meadow under a {c} sky", "on grass, {c} sky"],
    "snow": ["in the snow under a {c} sky", "on snow, {c} sky"],
    "beach": ["on a beach under a {c} sky", "on sand, {c} sky"],
}
LAND: dict[str, tuple[int, int, int]] = {"landscape": (95, 170, 70), "snow": (240, 244, 250), "beach": (235, 210, 150)}
ARRANGED: dict[str, list[str]] = {
    "left": ["a {a} to the left of a {b}", "a {b} to the right of a {a}", "a {a} left of a {b}", "a {a} and a {b}"],
    "above": ["a {a} above a {b}", "a {b} below a {a}", "a {b} under a {a}"],
}
COUNTS = {2: ["two", "2", "a pair of"], 3: ["three", "3"], 4: ["four", "4"]}
SIZES_OF_THINGS = {"small": ["small", "little", "tiny"], "big": ["big", "large", "huge"], "": [""]}
IRREGULAR = {"fish": "fish", "sheep": "sheep", "mouse": "mice", "leaf": "leaves", "knife": "knives", "wolf": "wolves", "grapes": "grapes",
             "tropical fish": "tropical fish", "glasses": "glasses", "scissors": "scissors", "jeans": "jeans", "deer": "deer"}


def with_article(text: str) -> str:
    words = text.split(" ")
    for i in range(len(words) - 1):
        if words[i] == "a" and words[i + 1][0] in "aeiou":
            words[i] = "an"
    return " ".join(words)


def plural(name: str) -> str:
    """Of a name whose last word is its noun."""
    if name in IRREGULAR:
        return IRREGULAR[name]
    head, _, noun = name.rpartition(" ")
    if noun in IRREGULAR:
        noun = IRREGULAR[noun]
    elif noun.endswith("y") and noun[-2:-1] not in "aeiou":
        noun = noun[:-1] + "ies"
    elif noun.endswith(("s", "x", "ch", "sh")):
        noun += "es"
    else:
        noun += "s"
    return f"{head} {noun}".strip()


def is_held_out(name: str, colour: str) -> bool:
    """Whether this thing on this background is kept for the evaluation: about one combination in eight."""
    return zlib.crc32(f"{name}/{colour}".encode()) % 8 == 0
