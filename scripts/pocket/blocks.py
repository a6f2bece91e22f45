"""Blocks that the three networks share. Attributes are named as in diffusers' checkpoints, which export relies on."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn



class Resnet(nn.Module):
    def __init__(self, inner: int, outer: int, groups: int, time: int | None = None, eps: float = 1e-6):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inner, eps)
        self.conv1 = nn.Conv2d(inner, outer, 3, padding=1)
        if time is not None:
            self.time_emb_proj = nn.Linear(time, outer)
        self.norm2 = nn.GroupNorm(groups, outer, eps)
        self.conv2 = nn.Conv2d(outer, outer, 3, padding=1)
        nn.init.normal_(self.conv2.weight, std=0.02)
        if inner != outer:
            self.conv_shortcut = nn.Conv2d(inner, outer, 1)

    def forward(self, x: torch.Tensor, time: torch.Tensor | None = None) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        if time is not None:
            h = h + self.time_emb_proj(F.silu(time))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x) + h


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, causal: bool = False) -> torch.Tensor:
    """[batch, tokens, width] each. Plain products: faster backwards on CPUs than the fused call."""
    batch, tokens, width = q.shape
    split = lambda x: x.view(batch, -1, heads, width // heads).transpose(1, 2)
    if q.is_cuda:
        out = F.scaled_dot_product_attention(split(q), split(k), split(v), is_causal=causal)
    else:
        scores = split(q) @ split(k).transpose(2, 3) * (width // heads) ** -0.5
        if causal:
            scores = scores.masked_fill(torch.ones(tokens, tokens, dtype=torch.bool).triu(1), float("-inf"))
        out = scores.softmax(-1) @ split(v)
    return out.transpose(1, 2).reshape(batch, tokens, width)


class CrossAttention(nn.Module):
    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        return self.to_out[0](attend(self.to_q(x), self.to_k(context), self.to_v(context), self.heads))


class Geglu(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.proj = nn.Linear(width, 8 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.proj(x).chunk(2, -1)
        return a * F.gelu(b)


class FeedForward(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.net = nn.ModuleList([Geglu(width), nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net[2](self.net[0](x))


class TransformerBlock(nn.Module):
    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1 = CrossAttention(width, width, heads)
        self.attn2 = CrossAttention(width, context, heads)
        self.ff = FeedForward(width)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        h = self.norm1(x)
        x = x + self.attn1(h, h)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, width: int, context: int, heads: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, 1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width, context, heads)])
        self.proj_out = nn.Conv2d(width, width, 1)
        # At zero, as usual, the text is ignored for the first hundred thousand samples.
        nn.init.normal_(self.proj_out.weight, std=0.08)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        batch, width, height, wide = x.shape
        h = self.proj_in(self.norm(x)).permute(0, 2, 3, 1).reshape(batch, height * wide, width)
        h = self.transformer_blocks[0](h, context)
        return x + self.proj_out(h.view(batch, height, wide, width).permute(0, 3, 1, 2))


class Down(nn.Module):
    """Halves a side: padded on both in a UNet, right and bottom only in an autoencoder."""

    def __init__(self, width: int, both: bool):
        super().__init__()
        self.both = both
        self.conv = nn.Conv2d(width, width, 3, 2, padding=1 if both else 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x if self.both else F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
