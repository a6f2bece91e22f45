"""How well pictures follow prompts of held-out combinations:
`python evaluate.py --data DIR --run DIR --model DIR [--count 300] [--size mini]`, through sdgen; without --model the training's
own average, in PyTorch. Writes RUN/evaluation.json and RUN/evaluation.png. The ceiling is the score of real scenes of the
same prompts after the autoencoder."""
from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from networks import SIZES, Autoencoder, Model, Size
from noise import Noise, sample
from png import read_png
from rich import DRAW
from run import write_grid
from scenes import Scene, Sprites, render
from scoring import Matcher, score, shares
from vocabulary import load

SDGEN = Path(__file__).resolve().parents[2] / "bin/sdgen.mjs"


def held_out_scenes(sprites: Sprites, size: Size, name: str, count: int) -> list[Scene]:
    """On plain backgrounds: of others the rim has no one colour."""
    scenes: list[Scene] = []
    rng = np.random.default_rng(77)
    while len(scenes) < count:
        scene = DRAW[name](rng, sprites, size.picture, True)
        if scene.blend == "plain":
            scenes.append(scene)
    return scenes


def from_sdgen(model: Path, scenes: list[Scene], arguments: list[str]) -> torch.Tensor:
    """One picture a prompt, seeds counting up from 1, with the model's own defaults."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [json.dumps({"prompt": scene.caption, "seed": i + 1}) for i, scene in enumerate(scenes)]
        (folder / "prompts.jsonl").write_text("\n".join(lines))
        subprocess.run(["node", SDGEN, "batch", folder / "prompts.jsonl", "--literal", "--model", model, "--output", folder / "pictures", *arguments],
                       check=True, stdout=subprocess.DEVNULL)
        files = sorted((folder / "pictures").glob("*.png"), key=lambda file: int(file.stem.split("-")[0]))
        if len(files) != len(scenes):
            raise SystemExit(f"{len(files)} pictures of {len(scenes)} prompts")
        return torch.stack([torch.from_numpy(read_png(file)).permute(2, 0, 1).float() / 127.5 - 1 for file in files])


@torch.no_grad()
def from_training(run: Path, size: Size, vae: Autoencoder, scenes: list[Scene]) -> torch.Tensor:
    state = torch.load(run / "diffusion.pt", map_location="cpu", weights_only=True)
    vocabulary = load(run / "tokenizer", size.window)
    model = Model(size, len(vocabulary.ids)).eval()
    model.load_state_dict(state["average"])
    ids = torch.tensor([vocabulary.encode(s.caption) for s in scenes])
    empty = torch.tensor(vocabulary.encode(""))
    parts = [sample(model, Noise("cpu"), part, empty, size, seed=i) for i, part in enumerate(ids.split(16))]
    return torch.cat([vae.decode(part / state["scale"]) for part in parts])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("sdgen", nargs="*", help="flags for sdgen, after --")
    args = parser.parse_args()
    size, sprites = SIZES[args.size], Sprites(args.data)
    torch.set_num_threads(1)
    scenes = held_out_scenes(sprites, size, args.size, args.count)
    vae = Autoencoder(size).eval()
    vae.load_state_dict(torch.load(args.run / "autoencoder.pt", map_location="cpu", weights_only=True)["model"])
    real = render(scenes, sprites, size.picture)
    with torch.no_grad():
        ceiling = torch.cat([vae.decode(vae.encode(part)[0]) for part in real.split(8)])
    made = from_sdgen(args.model, scenes, args.sdgen) if args.model else from_training(args.run, size, vae, scenes)
    matcher = Matcher(sprites)
    rows = {name: [score(picture, scene, sprites, matcher) for picture, scene in zip(pictures.clamp(-1, 1), scenes)]
            for name, pictures in (("real", real), ("ceiling", ceiling), ("model", made))}
    figures = {name: shares(scores) for name, scores in rows.items()}
    figures["prompts"] = len(scenes)  # type: ignore[assignment]
    print(json.dumps(figures))
    (args.run / "evaluation.json").write_text(json.dumps({**figures, "each": [
        {"prompt": s.caption, "colour": r.colour, "thing": r.thing, "count": r.count, "position": r.position} for s, r in zip(scenes, rows["model"])]}, indent=1))
    write_grid(args.run / "evaluation.png", made[: len(made) // 8 * 8], 8)


if __name__ == "__main__":
    main()
