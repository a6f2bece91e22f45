"""The Stable Diffusion architecture in small: text transformer, UNet, autoencoder (Rombach et al., 2022)."""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from blocks import Down, Resnet, Transformer, Up, attend


@dataclass(frozen=True)
class Size:
    """Norms have few groups: with one or two channels a group a norm takes away how bright a flat picture is."""
    picture: int                  # pixels a side
    latent: int                   # channels
    vae: tuple[int, ...]          # widths, from the picture inwards
    vae_blocks: int
    vae_groups: int
    unet: tuple[int, ...]
    unet_blocks: int
    unet_groups: int
    heads: tuple[int, ...]        # 0: no transformer on this level
    text: int                     # width, also of the UNet's context
    text_layers: int
    text_heads: int
    window: int                   # tokens
    merges: int


SIZES = {
    "mini": Size(128, 8, (16, 32, 64, 128), 1, 4, (64, 96, 128, 160), 1, 8, (0, 0, 4, 5), 192, 2, 3, 24, 1000),
    "gpu": Size(256, 8, (64, 128, 128, 128), 1, 8, (96, 160, 256), 2, 16, (3, 5, 8), 256, 3, 4, 40, 3000),
}


class Level(nn.Module):
    def __init__(self, resnets: list[nn.Module], attentions: list[nn.Module], change: tuple[str, nn.Module] | None):
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        if attentions:
            self.attentions = nn.ModuleList(attentions)
        if change is not None:
            setattr(self, change[0], nn.ModuleList([change[1]]))

    def attend(self, i: int, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return self.attentions[i](x, text) if hasattr(self, "attentions") else x


class TwoLinear(nn.Module):
    def __init__(self, inner: int, outer: int):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(inner, outer), nn.Linear(outer, outer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear_2(F.silu(self.linear_1(x)))


def timestep_embedding(t: torch.Tensor, width: int) -> torch.Tensor:
    half = width // 2
    f = torch.exp(-math.log(10000) * torch.arange(half, device=t.device, dtype=torch.float32) / half)
    angles = t.float()[:, None] * f
    return torch.cat([angles.cos(), angles.sin()], 1)


class Unet(nn.Module):
    """eps or v of [batch, latent, h, w] at timesteps [batch], given text [batch, tokens, text] and pooled [batch, text]."""

    def __init__(self, size: Size):
        super().__init__()
        widths, blocks, heads, text = size.unet, size.unet_blocks, size.heads, size.text
        self.width, time = widths[0], 4 * widths[0]
        self.conv_in = nn.Conv2d(size.latent, widths[0], 3, padding=1)
        self.time_embedding = TwoLinear(widths[0], time)
        self.add_embedding = TwoLinear(text, time)
        skips, inner, down, up = [widths[0]], widths[0], [], []
        groups = size.unet_groups
        res = lambda a, b: Resnet(a, b, groups, time, 1e-5)
        transformers = lambda level, count: [Transformer(widths[level], text, heads[level], groups) for _ in range(count if heads[level] else 0)]
        for level, width in enumerate(widths):
            resnets = [res(inner if i == 0 else width, width) for i in range(blocks)]
            last = level + 1 == len(widths)
            down.append(Level(resnets, transformers(level, blocks),
                              None if last else ("downsamplers", Down(width, True))))
            skips += [width] * (blocks + (0 if last else 1))
            inner = width
        self.down_blocks = nn.ModuleList(down)
        self.mid_block = Level([res(inner, inner), res(inner, inner)], transformers(-1, 1), None)
        for level in reversed(range(len(widths))):
            width, resnets = widths[level], []
            for _ in range(blocks + 1):
                resnets.append(res(inner + skips.pop(), width))
                inner = width
            up.append(Level(resnets, transformers(level, blocks + 1),
                            None if level == 0 else ("upsamplers", Up(width))))
        self.up_blocks = nn.ModuleList(up)
        self.conv_norm_out = nn.GroupNorm(groups, inner, 1e-5)
        self.conv_out = nn.Conv2d(inner, size.latent, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, x: torch.Tensor, t: torch.Tensor, text: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
        time = self.time_embedding(timestep_embedding(t, self.width).to(text.dtype)) + self.add_embedding(pooled)
        x = self.conv_in(x)
        skips = [x]
        for level in self.down_blocks:
            for i, resnet in enumerate(level.resnets):
                x = level.attend(i, resnet(x, time), text)
                skips.append(x)
            if hasattr(level, "downsamplers"):
                x = level.downsamplers[0](x)
                skips.append(x)
        x = self.mid_block.attentions[0](self.mid_block.resnets[0](x, time), text)
        x = self.mid_block.resnets[1](x, time)
        for level in self.up_blocks:
            for i, resnet in enumerate(level.resnets):
                x = level.attend(i, resnet(torch.cat([x, skips.pop()], 1), time), text)
            if hasattr(level, "upsamplers"):
                x = level.upsamplers[0](x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class VaeAttention(nn.Module):
    def __init__(self, width: int, groups: int):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, width, 1e-6)
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.group_norm(x).flatten(2).transpose(1, 2)
        h = self.to_out[0](attend(self.to_q(h), self.to_k(h), self.to_v(h), 1))
        return x + h.transpose(1, 2).reshape(x.shape)


class Coder(nn.Module):
    """Encoder or decoder of the autoencoder."""

    def __init__(self, size: Size, encoder: bool):
        super().__init__()
        widths = size.vae if encoder else tuple(reversed(size.vae))
        blocks = size.vae_blocks if encoder else size.vae_blocks + 1
        groups = size.vae_groups
        self.encoder = encoder
        self.conv_in = nn.Conv2d(3 if encoder else size.latent, widths[0], 3, padding=1)
        levels, inner = [], widths[0]
        for i, width in enumerate(widths):
            resnets = [Resnet(inner if j == 0 else width, width, groups) for j in range(blocks)]
            change = None
            if i + 1 < len(widths):
                change = ("downsamplers", Down(width, False)) if encoder else ("upsamplers", Up(width))
            levels.append(Level(resnets, [], change))
            inner = width
        middle = widths[-1] if encoder else widths[0]
        self.mid_block = Level([Resnet(middle, middle, groups), Resnet(middle, middle, groups)], [VaeAttention(middle, groups)], None)
        setattr(self, "down_blocks" if encoder else "up_blocks", nn.ModuleList(levels))
        self.conv_norm_out = nn.GroupNorm(groups, inner, 1e-6)
        self.conv_out = nn.Conv2d(inner, 2 * size.latent if encoder else 3, 3, padding=1)

    def _middle(self, x: torch.Tensor) -> torch.Tensor:
        return self.mid_block.resnets[1](self.mid_block.attentions[0](self.mid_block.resnets[0](x)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv_in(x)
        if not self.encoder:
            x = self._middle(x)
        for level in self.down_blocks if self.encoder else self.up_blocks:
            for resnet in level.resnets:
                x = resnet(x)
            for change in ("downsamplers", "upsamplers"):
                if hasattr(level, change):
                    x = getattr(level, change)[0](x)
        if self.encoder:
            x = self._middle(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class Autoencoder(nn.Module):
    def __init__(self, size: Size):
        super().__init__()
        self.encoder, self.decoder = Coder(size, True), Coder(size, False)
        self.quant_conv = nn.Conv2d(2 * size.latent, 2 * size.latent, 1)
        self.post_quant_conv = nn.Conv2d(size.latent, size.latent, 1)
        # Little noise to begin with: at a variance of 1 the decoder learns nothing but the mean for a long while.
        nn.init.zeros_(self.quant_conv.weight[size.latent :])
        nn.init.constant_(self.quant_conv.bias[size.latent :], -5)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and logarithm of the variance."""
        mean, logvar = self.quant_conv(self.encoder(x)).chunk(2, 1)
        return mean, logvar.clamp(-30, 20)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.post_quant_conv(z))


class TextLayer(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.self_attn = nn.ModuleDict({f"{k}_proj": nn.Linear(width, width) for k in ("q", "k", "v", "out")})
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, a = self.layer_norm1(x), self.self_attn
        x = x + a["out_proj"](attend(a["q_proj"](h), a["k_proj"](h), a["v_proj"](h), self.heads, causal=True))
        h = self.mlp["fc1"](self.layer_norm2(x))
        return x + self.mlp["fc2"](h * torch.sigmoid(1.702 * h))


class Text(nn.Module):
    """CLIP's text transformer: features [batch, window, width], and those at the first end token."""

    def __init__(self, size: Size, vocabulary: int):
        super().__init__()
        self.eos = vocabulary - 1
        self.embeddings = nn.ModuleDict({"token_embedding": nn.Embedding(vocabulary, size.text),
                                         "position_embedding": nn.Embedding(size.window, size.text)})
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(TextLayer(size.text, size.text_heads) for _ in range(size.text_layers))})
        self.final_layer_norm = nn.LayerNorm(size.text)
        nn.init.normal_(self.embeddings["token_embedding"].weight, std=1)
        nn.init.normal_(self.embeddings["position_embedding"].weight, std=0.3)

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.embeddings["token_embedding"](ids) + self.embeddings["position_embedding"].weight
        for layer in self.encoder["layers"]:
            x = layer(x)
        x = self.final_layer_norm(x)
        return x, x[torch.arange(len(ids), device=ids.device), (ids == self.eos).int().argmax(1)]


class Model(nn.Module):
    def __init__(self, size: Size, vocabulary: int):
        super().__init__()
        self.text, self.unet = Text(size, vocabulary), Unet(size)

    def forward(self, x: torch.Tensor, t: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return self.unet(x, t, *self.text(ids))
