#!/usr/bin/env python3
"""What the webui's own libraries make of masks and pictures, as test/fixtures/webui-pictures.json.

usage: python3 scripts/webui-pictures.py test/fixtures/webui-pictures.json

Needs opencv-python-headless, Pillow, NumPy and scikit-image; no test does: test/unit/image/webui-pictures.test.ts reads the
file. The webui blurs masks by OpenCV's GaussianBlur, fills and overlays by Pillow, and corrects colours by OpenCV's 8-bit
L*a*b*, scikit-image's match_histograms and a luminosity layer of W3C's Compositing (0.299, 0.587, 0.114) in float64, cut to
8 bits. A case is [what, its settings …, SHA-256 of the bytes]; pictures come from `noise` and `smooth`, by whole numbers
alone, so that the test makes the same ones.
"""
from __future__ import annotations

import hashlib
import json
import sys

import cv2
import numpy as np
import PIL
import skimage
from PIL import Image, ImageFilter, ImageOps
from skimage import exposure

SIGMAS = [0.3, 0.4, 0.7, 1, 1.5, 2, 2.5, 3, 4, 5.5, 8, 13, 16, 20, 32, 64]
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def noise(width: int, height: int, channels: int) -> np.ndarray:
    """[height, width, channels], uint8: the upper bits of a linear congruential generator."""
    state, values = width * 1000 + height * 10 + channels, bytearray()
    for _ in range(width * height * channels):
        state = (1103515245 * state + 12345) % 2**31
        values.append((state >> 16) & 255)
    return np.frombuffer(bytes(values), np.uint8).reshape(height, width, channels)


def smooth(width: int, height: int, channels: int) -> np.ndarray:
    y, x, c = np.indices((height, width, channels))
    return ((x * 3 + y * 5 + c * 40) % 256).astype(np.uint8)


def box(width: int, height: int, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """A mask [height, width]: white inside."""
    mask = np.zeros((height, width), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


MAKERS = {"noise": noise, "smooth": smooth}


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:32]


def mask_blur(mask: np.ndarray, sigma_x: float, sigma_y: float) -> np.ndarray:
    """Along x, then along y, each by a kernel of 2·int(2.5·sigma + 0.5) + 1."""
    for sigma, horizontal in ((sigma_x, True), (sigma_y, False)):
        if sigma > 0:
            size = 2 * int(2.5 * sigma + 0.5) + 1
            mask = cv2.GaussianBlur(mask, (size, 1) if horizontal else (1, size), sigma)
    return mask


def cut_out(rgb: np.ndarray, mask: np.ndarray) -> Image.Image:
    """Premultiplied: the picture where the mask is dark."""
    seen = Image.new("RGBa", (rgb.shape[1], rgb.shape[0]))
    picture = Image.fromarray(rgb, "RGB").convert("RGBA").convert("RGBa")
    seen.paste(picture, mask=ImageOps.invert(Image.fromarray(mask, "L")))
    return seen


def fill(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    whole = Image.new("RGBA", (rgb.shape[1], rgb.shape[0]))
    seen = cut_out(rgb, mask)
    for radius, times in ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1)):
        layer = seen.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            whole.alpha_composite(layer)
    return np.asarray(whole.convert("RGB"))


def put_over(result: np.ndarray, original: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The original's unmasked pixels over a result of the whole picture."""
    onto = Image.fromarray(result, "RGB").convert("RGBA")
    onto.alpha_composite(cut_out(original, mask).convert("RGBA"))
    return np.asarray(onto.convert("RGB"))


def with_luminosity(colours: np.ndarray, of: np.ndarray) -> np.ndarray:
    """SetLum(colours, Lum(of)) of W3C's Compositing; [height, width, 3] in 0 … 1."""
    def lum(c: np.ndarray) -> np.ndarray:
        return c[..., 0] * 0.299 + c[..., 1] * 0.587 + c[..., 2] * 0.114

    moved = colours + (lum(of) - lum(colours))[..., None]
    own = lum(moved)[..., None]
    least, most = moved.min(axis=2, keepdims=True), moved.max(axis=2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.where(least < 0, own + (moved - own) * own / (own - least), moved)
        return np.where(most > 1, own + (moved - own) * (1 - own) / (most - own), moved)


def correct_colours(rgb: np.ndarray, like: np.ndarray) -> np.ndarray:
    lab, other = (cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2LAB) for picture in (rgb, like))
    matched = cv2.cvtColor(exposure.match_histograms(lab, other, channel_axis=2), cv2.COLOR_LAB2RGB)
    blended = with_luminosity(matched / 255.0, rgb / 255.0)
    return (np.clip(blended, 0, 1) * 255).astype(np.uint8)


def blur_cases() -> list:
    cases = []
    for sigma in SIGMAS:
        for name in MAKERS:
            mask = MAKERS[name](53, 38, 1)[..., 0]
            cases.append(["mask blur", name, 53, 38, sigma, 0, sha256(mask_blur(mask, sigma, 0))])
            cases.append(["mask blur", name, 53, 38, 0, sigma, sha256(mask_blur(mask, 0, sigma))])
    for sigma_x, sigma_y in ((4, 4), (1, 9), (6.5, 2)):
        mask = box(64, 48, 10, 12, 40, 30)
        cases.append(["box blur", 64, 48, [10, 12, 40, 30], sigma_x, sigma_y, sha256(mask_blur(mask, sigma_x, sigma_y))])
    for radius in (0, 0.5, 1, 2, 3.3, 4, 16, 64, 256):
        for channels, mode in MODES.items():
            picture = Image.fromarray(noise(41, 30, channels).squeeze(), mode)
            cases.append(["fill blur", "noise", 41, 30, channels, radius,
                          sha256(np.asarray(picture.filter(ImageFilter.GaussianBlur(radius))))])
    return cases


def picture_cases() -> list:
    cases = []
    for name, make in MAKERS.items():
        for blur in (0, 4):
            rgb, mask = make(64, 48, 3), mask_blur(box(64, 48, 10, 12, 40, 30), blur, blur)
            cases.append(["fill", name, 64, 48, [10, 12, 40, 30], blur, sha256(fill(rgb, mask))])
            result = MAKERS["smooth" if name == "noise" else "noise"](64, 48, 3)
            cases.append(["put over", name, 64, 48, [10, 12, 40, 30], blur, sha256(put_over(result, rgb, mask))])
            cells = Image.fromarray(mask, "L").convert("RGB").resize((8, 6))
            cases.append(["latent mask", 64, 48, [10, 12, 40, 30], blur, sha256(np.asarray(cells)[..., 0])])
    for own, like in (("noise", "smooth"), ("smooth", "noise"), ("smooth", "smooth")):
        rgb, other = MAKERS[own](40, 30, 3), MAKERS[like](33, 25, 3)
        cases.append(["colours", own, 40, 30, like, 33, 25, sha256(correct_colours(rgb, other))])
        cases.append(["colours, darker", own, 40, 30, like, 33, 25, sha256(correct_colours(rgb, other // 3))])
    return cases


def lab_cases() -> list:
    """Every 5th level of each channel, as one row."""
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(1, -1, 3)
    return [["to lab", sha256(cv2.cvtColor(grid, cv2.COLOR_RGB2LAB))],
            ["from lab", sha256(cv2.cvtColor(grid, cv2.COLOR_LAB2RGB))]]


def main() -> None:
    cases = blur_cases() + picture_cases() + lab_cases()
    made_by = {"opencv": cv2.__version__, "pillow": PIL.__version__, "numpy": np.__version__, "scikit-image": skimage.__version__}
    lines = ",\n".join(json.dumps(case) for case in cases)
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(f'{{"made_by": {json.dumps(made_by)}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
