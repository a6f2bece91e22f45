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


def write_shards(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str], most: float) -> None:
    """As diffusers cuts large files: STEM-00001-of-00002.safetensors of at most so many bytes each, and an index."""
    shards: list[dict[str, torch.Tensor]] = [{}]
    room = most
    for name in sorted(tensors):
        size = 2 * tensors[name].numel()
        if size > room and shards[-1]:
            shards.append({})
            room = most
        shards[-1][name] = tensors[name]
        room -= size
    names = [f"{path.stem}-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    for name, shard in zip(names, shards):
        write_safetensors(path.with_name(name), shard, metadata)
    where = {tensor: name for name, shard in zip(names, shards) for tensor in shard}
    path.with_name(f"{path.name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}, indent=1))


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors, as float32, of a file or of the shards in its place."""
    index = path.with_name(f"{path.name}.index.json")
    if index.exists():
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        return {name: tensor for file in files for name, tensor in read_safetensors(path.with_name(file)).items()}
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


def read_metadata(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length)).get("__metadata__", {})


def read_model(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """An exported folder's text transformer and UNet ("text.…", "unet.…") and its autoencoder, named as in training."""
    text = read_safetensors(folder / "text_encoder/model.safetensors")
    unet = read_safetensors(folder / "unet/diffusion_pytorch_model.safetensors")
    model = {f"text.{name.removeprefix('text_model.')}": tensor for name, tensor in text.items()}
    model |= {f"unet.{name}": tensor for name, tensor in unet.items()}
    return model, read_safetensors(folder / "vae/diffusion_pytorch_model.safetensors")
