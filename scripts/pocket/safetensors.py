"""Tensors in safetensors' format: float16 as the model ships, float32 for comparisons."""
from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import torch

NUMBERS = {"F16": np.float16, "F32": np.float32}


def write_safetensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str], kind: str = "F16") -> None:
    header: dict[str, object] = {"__metadata__": metadata}
    offset, blobs = 0, []
    for name in sorted(tensors):
        data = tensors[name].detach().cpu().float().numpy().astype(NUMBERS[kind]).tobytes()
        header[name] = {"dtype": kind, "shape": list(tensors[name].shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        blobs.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    temporary.replace(path)


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors, as float32."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = np.frombuffer(data[begin:end], NUMBERS[entry["dtype"]]).astype(np.float32)
        tensors[name] = torch.from_numpy(values.reshape(entry["shape"]))
    return tensors


def read_model(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """An exported folder's text transformer and UNet ("text.…", "unet.…") and its autoencoder, named as in training."""
    text = read_safetensors(folder / "text_encoder/model.safetensors")
    unet = read_safetensors(folder / "unet/diffusion_pytorch_model.safetensors")
    model = {f"text.{name.removeprefix('text_model.')}": tensor for name, tensor in text.items()}
    model |= {f"unet.{name}": tensor for name, tensor in unet.items()}
    return model, read_safetensors(folder / "vae/diffusion_pytorch_model.safetensors")
