"""Whether sdgen computes an exported model as PyTorch does:
`python parity.py --model DIR --eval ../../build/sdgen-eval [--size mini]`. Both read the same float16 values and compute in float32."""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from networks import SIZES, Autoencoder, Model
from safetensors import read_model, read_safetensors, write_safetensors

BOUND = 1e-4  # of the difference's norm over the value's: two orders of adding up float32 numbers
TIMESTEPS = (999, 500, 20)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--eval", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="mini")
    args = parser.parse_args()
    size = SIZES[args.size]
    weights, vae_weights = read_model(args.model)
    vocabulary = json.loads((args.model / "tokenizer/vocab.json").read_text())
    model, vae = Model(size, len(vocabulary)).eval(), Autoencoder(size).eval()
    model.load_state_dict(weights)
    vae.load_state_dict(vae_weights)
    torch.manual_seed(1)
    side = size.picture // 8
    ids = torch.full((2, size.window), len(vocabulary) - 1)
    ids[:, 0] = len(vocabulary) - 2
    ids[0, 1:7], ids[1, 1:4] = torch.randint(512, len(vocabulary) - 2, (6,)), torch.randint(512, len(vocabulary) - 2, (3,))
    x, z = torch.randn(2, size.latent, side, side), torch.randn(1, size.latent, side, side)
    image = torch.rand(1, 3, size.picture, size.picture) * 2 - 1
    with torch.no_grad():
        text, pooled = model.text(ids)
        mean, logvar = vae.encode(image)
        expected = {"text": {"text.last": text, "text.pooled": pooled},
                    "unet": {f"unet.out.t{t}": model.unet(x, torch.full((2,), t), text, pooled) for t in TIMESTEPS},
                    "vae-decode": {"vae.decoded": vae.decode(z)}, "vae-encode": {"vae.mean": mean, "vae.logvar": logvar}}
    inputs = {"text.ids": ids, "unet.x": x, "unet.ctx": text, "unet.pooled": pooled, "unet.t": torch.tensor(TIMESTEPS), "vae.z": z, "vae.image": image}
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "in.safetensors", Path(folder) / "out.safetensors"
        write_safetensors(given, inputs, {}, "F32")
        for part, tensors in expected.items():
            subprocess.run([args.eval, "--part", part, "--model", args.model, "--inputs", given, "--output", made], check=True)
            found = read_safetensors(made)
            for name, tensor in tensors.items():
                error = ((found[name] - tensor).norm() / tensor.norm()).item()
                worst = max(worst, error)
                print(f"{name}: {error:.2e}")
    print("same" if worst <= BOUND else f"not the same: more than {BOUND:g}")
    return 0 if worst <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
