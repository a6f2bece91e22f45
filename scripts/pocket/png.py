"""PNG of 8-bit RGB, as sdgen writes and as sheets are kept."""
from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_png(path: Path, rgb: np.ndarray) -> None:
    """uint8 [height, width, 3]."""
    height, width, _ = rgb.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), rgb.reshape(height, -1)], 1).tobytes()
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b""))


def read_png(path: Path) -> np.ndarray:
    """uint8 [height, width, 3]; ValueError for another kind of PNG."""
    data = path.read_bytes()
    if not data.startswith(SIGNATURE):
        raise ValueError(f"{path} is not a PNG")
    at, packed, shape = len(SIGNATURE), b"", None
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            if (depth, colours, interlaced) != (8, 2, 0):
                raise ValueError(f"{path} is not 8-bit RGB")
            shape = (height, width)
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    if shape is None:
        raise ValueError(f"{path} has no header")
    height, width = shape
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + 3 * width)
    out = np.zeros((height + 1, 3 * width + 3), np.int32)  # a row above and a pixel to the left, both 0
    for y in range(height):
        _unfilter(int(rows[y, 0]), rows[y, 1:].astype(np.int32), out[y + 1], out[y])
    return out[1:, 3:].astype(np.uint8).reshape(height, width, 3)


def _unfilter(kind: int, line: np.ndarray, row: np.ndarray, above: np.ndarray) -> None:
    for i, value in enumerate(line.tolist()):
        left, up, corner = int(row[i]), int(above[i + 3]), int(above[i])
        if kind == 4:
            distances = (abs(up - corner), abs(left - corner), abs(left + up - 2 * corner))
            guess = (left, up, corner)[distances.index(min(distances))]
        else:
            guess = (0, left, up, (left + up) // 2)[kind]
        row[i + 3] = (value + guess) & 255
