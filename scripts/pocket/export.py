"""Stage 4: the models as a folder of diffusers in float16. `python export.py --run DIR --out DIR [--size mini]`"""
from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path

import torch

from networks import SIZES, Size


def write_safetensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    header: dict[str, object] = {"__metadata__": metadata}
    offset, blobs = 0, []
    for name in sorted(tensors):
        data = tensors[name].detach().to(torch.float16).contiguous().numpy().tobytes()
        header[name] = {"dtype": "F16", "shape": list(tensors[name].shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        blobs.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    temporary.replace(path)


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def configs(size: Size, scale: float) -> dict[str, object]:
    part = lambda kind, name: [kind, name]
    return {
        "model_index.json": {"_class_name": "StableDiffusionPipeline", "scheduler": part("diffusers", "DDIMScheduler"),
                             "text_encoder": part("transformers", "CLIPTextModel"), "tokenizer": part("transformers", "CLIPTokenizer"),
                             "unet": part("diffusers", "UNet2DConditionModel"), "vae": part("diffusers", "AutoencoderKL")},
        "unet/config.json": {"_class_name": "UNet2DConditionModel", "sample_size": size.picture // 8, "in_channels": size.latent,
                             "out_channels": size.latent, "block_out_channels": size.unet, "layers_per_block": size.unet_blocks,
                             "down_block_types": ["CrossAttnDownBlock2D"] * len(size.unet), "up_block_types": ["CrossAttnUpBlock2D"] * len(size.unet),
                             # diffusers' name for the number of heads.
                             "attention_head_dim": size.heads, "cross_attention_dim": size.text, "norm_num_groups": 32,
                             "addition_embed_type": "text", "projection_class_embeddings_input_dim": size.text},
        "vae/config.json": {"_class_name": "AutoencoderKL", "block_out_channels": size.vae, "latent_channels": size.latent,
                            "layers_per_block": size.vae_blocks, "norm_num_groups": 32, "scaling_factor": scale},
        "text_encoder/config.json": {"architectures": ["CLIPTextModel"], "hidden_act": "quick_gelu", "hidden_size": size.text,
                                     "intermediate_size": 4 * size.text, "max_position_embeddings": size.window,
                                     "num_attention_heads": size.text_heads, "num_hidden_layers": size.text_layers},
        "scheduler/scheduler_config.json": {"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
                                            "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "prediction_type": "v_prediction",
                                            "rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "trained_betas": None},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="mini")
    args = parser.parse_args()
    size = SIZES[args.size]
    vae = torch.load(args.run / "autoencoder.pt", map_location="cpu", weights_only=True)["model"]
    state = torch.load(args.run / "diffusion.pt", map_location="cpu", weights_only=True)
    average: dict[str, torch.Tensor] = state["average"]
    pick = lambda prefix: {k[len(prefix):]: v for k, v in average.items() if k.startswith(prefix)}
    words = (args.run / "tokenizer" / "words.txt").read_text()
    metadata = {"format": "pt", "sdgen.default_width": str(size.picture), "sdgen.default_height": str(size.picture),
                "sdgen.default_steps": "20", "sdgen.default_sampler": "DPM++ 2M", "sdgen.default_scheduler": "SGM Uniform",
                "sdgen.default_cfg_scale": "3", "sdgen.precision": "fp32", "sdgen.known_words": words,
                "sdgen.training_samples": str(state["step"] * 48)}
    write_safetensors(args.out / "unet/diffusion_pytorch_model.safetensors", pick("unet."), metadata)
    write_safetensors(args.out / "vae/diffusion_pytorch_model.safetensors", vae, {"format": "pt"})
    write_safetensors(args.out / "text_encoder/model.safetensors", {f"text_model.{k}": v for k, v in pick("text.").items()}, {"format": "pt"})
    for name, value in configs(size, state["scale"]).items():
        write_json(args.out / name, value)
    for name in ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"):
        (args.out / "tokenizer").mkdir(parents=True, exist_ok=True)
        (args.out / "tokenizer" / name).write_bytes((args.run / "tokenizer" / name).read_bytes())


if __name__ == "__main__":
    main()
