"""An encoder that needs no training: the principal components of the picture's 8×8 squares, one square a latent cell.

The way through an encoder is linear but for what its blocks add and for its last norm. So the blocks add nothing to begin
with, and the norm is held still: beside the few channels that carry values stand constant ones, large enough that the
values hardly move a group's mean and variance, and the values are raised to where SiLU is all but a straight line."""
from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from networks import Autoencoder, Coder, Size

CONSTANT = 8.0          # of the channels that hold the norm still; values have a standard deviation of 1
RAISED, GAIN = 4.0, 0.5  # a value v goes through SiLU as RAISED + GAIN v


def principal_components(pictures: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of 8×8 squares of [n, 3, h, w]: [count, 3, 8, 8] and an offset [count]; each component has mean 0, spread 1."""
    squares = pictures.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).reshape(-1, 192).double()
    mean = squares.mean(0)
    values, vectors = torch.linalg.eigh((squares - mean).T @ (squares - mean) / len(squares))
    rows = (vectors[:, -count:] / values[-count:].sqrt()).T.flip(0)
    return rows.reshape(count, 3, 8, 8).float(), -(rows @ mean).float()


def linear_latents(pictures: torch.Tensor, count: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """What `start_linear` makes an encoder compute, as one product."""
    components, offset = (values.to(pictures.device) for values in principal_components(pictures, count))
    return lambda x: F.conv2d(x, components, offset, stride=8)


def silence(encoder: Coder) -> None:
    """Makes the blocks add nothing."""
    blocks = [*encoder.mid_block.resnets, *(resnet for level in encoder.down_blocks for resnet in level.resnets)]
    for layer in [*(block.conv2 for block in blocks), encoder.mid_block.attentions[0].to_out[0]]:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)


@torch.no_grad()
def start_linear(vae: Autoencoder, size: Size, pictures: torch.Tensor) -> None:
    """Sets the encoder's weights. Each halving brings 2×2 squares together: 12 values of 2×2 pixels, then of each 4×4 pixels
    what it would add to every component at each of its four places, then the components."""
    if len(size.vae) != 4 or size.vae[0] < 12 or size.vae[1] < 4 * size.latent or size.latent % size.vae_groups:
        raise ValueError("the encoder is too narrow to start from principal components")
    components, offset = principal_components(pictures, size.latent)
    encoder = vae.encoder
    silence(encoder)
    levels = encoder.down_blocks
    shortcuts = [level.resnets[0].conv_shortcut for level in levels if hasattr(level.resnets[0], "conv_shortcut")]
    halvings = [level.downsamplers[0].conv for level in levels if hasattr(level, "downsamplers")]
    for layer in [encoder.conv_in, *shortcuts, *halvings, encoder.conv_out, vae.quant_conv]:
        layer.weight.zero_()
        layer.bias.zero_()
    for c in range(3):
        encoder.conv_in.weight[c, c, 1, 1] = 1
    for shortcut in shortcuts:
        for c in range(min(shortcut.weight.shape[:2])):
            shortcut.weight[c, c] = 1
    for y in (0, 1):
        for x in (0, 1):
            for c in range(3):
                halvings[0].weight[4 * c + 2 * y + x, c, y, x] = 1
            # Rows of one pixel are 4 sy + 2 ty + uy, by the place of the 4×4, of the 2×2 in it, of the pixel in that.
            parts = components.reshape(-1, 3, 2, 2, 2, 2, 2, 2)[:, :, :, y, :, :, x, :]     # [k, c, sy, uy, sx, ux]
            halvings[1].weight[: 4 * size.latent, :12, y, x] = parts.permute(0, 2, 4, 1, 3, 5).reshape(4 * size.latent, 12)
            for k in range(size.latent):
                halvings[2].weight[k, 4 * k + 2 * y + x, y, x] = 1
    _hold_norm(encoder, size, offset, shortcuts[-1])
    for k in range(size.latent):
        vae.quant_conv.weight[k, k] = 1
    vae.quant_conv.bias[size.latent :] = -5


def _hold_norm(encoder: Coder, size: Size, offset: torch.Tensor, last: torch.nn.Conv2d) -> None:
    width, groups = size.vae[-1], size.vae_groups
    each, values = width // groups, size.latent // groups
    norm = encoder.conv_norm_out
    last.weight.zero_()
    variance = CONSTANT**2 * (each - values) / each + values / each
    norm.weight.fill_(GAIN * variance**0.5)
    norm.bias.fill_(RAISED)
    for group in range(groups):
        for place in range(each):
            channel = group * each + place
            if place >= values:
                last.bias[channel] = CONSTANT if place % 2 else -CONSTANT
                continue
            k = group * values + place
            last.weight[channel, k] = 1
            last.bias[channel] = offset[k]
            encoder.conv_out.weight[k, channel, 1, 1] = 1 / GAIN
            encoder.conv_out.bias[k] = -RAISED / GAIN
