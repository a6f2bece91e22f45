"""A run's folder from an exported model, so that training goes on from it on another machine:
`python start_from.py --model DIR --run DIR`. Optimisers begin anew."""
from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch

from safetensors import read_metadata, read_model


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    args = parser.parse_args()
    if (args.run / "diffusion.pt").exists():
        raise SystemExit(f"{args.run} already has a run")
    model, vae = read_model(args.model)
    scale = json.loads((args.model / "vae/config.json").read_text())["scaling_factor"]
    samples = int(read_metadata(args.model / "unet/diffusion_pytorch_model.safetensors")["sdgen.training_samples"])
    shutil.copytree(args.model / "tokenizer", args.run / "tokenizer")
    fresh = {"optimiser": None, "spent": 0.0, "step": 0}
    torch.save({"model": vae, "samples": 0, "decoder_only": None, **fresh}, args.run / "autoencoder.pt")
    torch.save({"model": model, "average": model, "samples": samples, "scale": scale, **fresh}, args.run / "diffusion.pt")


if __name__ == "__main__":
    main()
