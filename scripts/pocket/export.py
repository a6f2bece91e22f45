"""Stage 4: the models as a folder of diffusers in float16. `python export.py --run DIR --out DIR [--size mini] [--random]`"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from networks import SIZES, Autoencoder, Model, Size
from safetensors import write_safetensors, write_shards


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def configs(size: Size, scale: float) -> dict[str, object]:
    part = lambda kind, name: [kind, name]
    kinds = ["CrossAttn" if heads else "" for heads in size.heads]
    return {
        "model_index.json": {"_class_name": "StableDiffusionPipeline", "scheduler": part("diffusers", "DDIMScheduler"),
                             "text_encoder": part("transformers", "CLIPTextModel"), "tokenizer": part("transformers", "CLIPTokenizer"),
                             "unet": part("diffusers", "UNet2DConditionModel"), "vae": part("diffusers", "AutoencoderKL")},
        "unet/config.json": {"_class_name": "UNet2DConditionModel", "sample_size": size.picture // 8, "in_channels": size.latent,
                             "out_channels": size.latent, "block_out_channels": size.unet, "layers_per_block": size.unet_blocks,
                             "down_block_types": [f"{kind}DownBlock2D" for kind in kinds], "up_block_types": [f"{kind}UpBlock2D" for kind in reversed(kinds)],
                             # diffusers' name for the number of heads.
                             "attention_head_dim": [max(1, heads) for heads in size.heads], "cross_attention_dim": size.text, "norm_num_groups": size.unet_groups,
                             "addition_embed_type": "text", "projection_class_embeddings_input_dim": size.text},
        "vae/config.json": {"_class_name": "AutoencoderKL", "block_out_channels": size.vae, "latent_channels": size.latent,
                            "layers_per_block": size.vae_blocks, "norm_num_groups": size.vae_groups, "scaling_factor": scale},
        "text_encoder/config.json": {"architectures": ["CLIPTextModel"], "hidden_act": "quick_gelu", "hidden_size": size.text,
                                     "intermediate_size": 4 * size.text, "max_position_embeddings": size.window,
                                     "num_attention_heads": size.text_heads, "num_hidden_layers": size.text_layers},
        "scheduler/scheduler_config.json": {"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
                                            "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "prediction_type": "v_prediction",
                                            "rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "trained_betas": None},
    }


def write_model(out: Path, size: Size, tokenizer: Path, vae: dict[str, torch.Tensor], model: dict[str, torch.Tensor], scale: float,
                samples: int, shards: float | None = None) -> None:
    pick = lambda prefix: {k[len(prefix):]: v for k, v in model.items() if k.startswith(prefix)}
    metadata = {"format": "pt", "sdgen.default_width": str(size.picture), "sdgen.default_height": str(size.picture),
                "sdgen.default_steps": "20", "sdgen.default_sampler": "DPM++ 2M", "sdgen.default_scheduler": "SGM Uniform",
                "sdgen.default_cfg_scale": "3", "sdgen.precision": "fp32", "sdgen.known_words": (tokenizer / "words.txt").read_text(),
                "sdgen.training_samples": str(samples)}
    unet = out / "unet/diffusion_pytorch_model.safetensors"
    if shards is None:
        write_safetensors(unet, pick("unet."), metadata)
    else:
        unet.parent.mkdir(parents=True, exist_ok=True)
        write_shards(unet, pick("unet."), metadata, shards * 1e6)
    write_safetensors(out / "vae/diffusion_pytorch_model.safetensors", vae, {"format": "pt"})
    write_safetensors(out / "text_encoder/model.safetensors", {f"text_model.{k}": v for k, v in pick("text.").items()}, {"format": "pt"})
    for name, value in configs(size, scale).items():
        write_json(out / name, value)
    for name in ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json", "words.txt"):
        (out / "tokenizer").mkdir(parents=True, exist_ok=True)
        (out / "tokenizer" / name).write_bytes((tokenizer / name).read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--random", action="store_true", help="untrained weights, to try the loader")
    parser.add_argument("--shards", type=float, help="most megabytes of a file of the UNet")
    args = parser.parse_args()
    size, tokenizer = SIZES[args.size], args.run / "tokenizer"
    if args.random:
        torch.manual_seed(0)
        model = Model(size, len(json.loads((tokenizer / "vocab.json").read_text())))
        for norm_or_last in (p for p in model.parameters() if not p.any()):
            torch.nn.init.normal_(norm_or_last, std=0.05)  # zeros would hide what they multiply
        write_model(args.out, size, tokenizer, Autoencoder(size).state_dict(), model.state_dict(), 1.0, 0)
        return
    load = lambda name: torch.load(args.run / name, map_location="cpu", weights_only=True)
    state = load("diffusion.pt")
    write_model(args.out, size, tokenizer, load("autoencoder.pt")["model"], state["average"], state["scale"], state["samples"], args.shards)


if __name__ == "__main__":
    main()
