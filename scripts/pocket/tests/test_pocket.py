"""`python -m unittest discover -s scripts/pocket/tests`; artwork is made up here, nothing is installed or downloaded."""
from __future__ import annotations

import json
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from captions import is_held_out, plural, with_article
from linear import principal_components, start_linear
from networks import SIZES, Autoencoder, Model
from noise import Noise
from png import read_png, write_png
from rich import draw_rich_scene
from safetensors import read_safetensors, write_safetensors
from scenes import Sprites, draw_scene, render
from scoring import Matcher, background, score
from vocabulary import Vocabulary, learn_merges, load


def made_up_sprites(folder: Path) -> Sprites:
    """Twelve things in two styles: coarse random mosaics with a transparent rim."""
    rng = np.random.default_rng(4)
    mosaics = rng.integers(0, 256, (24, 4, 4, 3)).repeat(8, 1).repeat(8, 2)
    rgba = np.zeros((24, 48, 48, 4), np.uint8)
    rgba[:, 8:40, 8:40, :3], rgba[:, 8:40, 8:40, 3] = mosaics, 255
    names = ["cat", "owl", "apple", "bus", "fox", "key", "box", "cherry", "fish", "drum", "tent", "hot dog"]
    (folder / "sprites.bin").write_bytes(rgba.tobytes())
    (folder / "sprites.json").write_text(json.dumps({"size": 48, "styles": ["flat", "noto"], "names": names, "synonyms": [[n] for n in names]}))
    return Sprites(folder)


class WithSprites(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.sprites = made_up_sprites(self.folder)


class Captions(unittest.TestCase):
    def test_articles_and_plurals(self) -> None:
        self.assertEqual(with_article("a owl and a cat on a orange background"), "an owl and a cat on an orange background")
        self.assertEqual([plural(n) for n in ("cat", "box", "cherry", "monkey", "hot dog", "tropical fish")],
                         ["cats", "boxes", "cherries", "monkeys", "hot dogs", "tropical fish"])


class VocabularyTest(unittest.TestCase):
    def test_merges_the_most_frequent_pair_first_and_fills_with_the_end(self) -> None:
        merges = learn_merges(["abab ab", "cab"], 2)
        self.assertEqual(merges[0], ("a", "b</w>"))
        vocabulary = Vocabulary(merges, 6)
        ab = vocabulary.ids["ab</w>"]
        self.assertEqual(vocabulary.encode("AB ab"), [vocabulary.bos, ab, ab] + [vocabulary.eos] * 3)
        self.assertEqual(len(vocabulary.encode("ab " * 50)), 6)
        self.assertEqual(vocabulary.encode("ab " * 50)[-1], vocabulary.eos)

    def test_is_read_back_as_it_was_written(self) -> None:
        vocabulary = Vocabulary(learn_merges(["a cat on a red background"], 30), 12)
        with tempfile.TemporaryDirectory() as folder:
            vocabulary.save(Path(folder))
            again = load(Path(folder), 12)
            self.assertEqual(json.loads((Path(folder) / "vocab.json").read_text(encoding="utf8")), again.ids)
        self.assertEqual(again.encode("a red cat!"), vocabulary.encode("a red cat!"))


class Scenes(WithSprites):
    def test_training_never_shows_what_is_held_out(self) -> None:
        for draw in (draw_scene, draw_rich_scene):
            for held in (False, True):
                scenes = [draw(np.random.default_rng([1, i]), self.sprites, 64, held) for i in range(200)]
                self.assertTrue(all(is_held_out(self.sprites.name(t.index), s.colour) is held for s in scenes for t in s.things))

    def test_the_scorer_finds_what_was_drawn(self) -> None:
        scenes = [draw_scene(np.random.default_rng([2, i]), self.sprites, 96) for i in range(24)]
        matcher = Matcher(self.sprites)
        scores = [score(p, s, self.sprites, matcher) for p, s in zip(render(scenes, self.sprites, 96), scenes)]
        self.assertTrue(all(s.colour for s in scores))
        self.assertGreaterEqual(sum(s.thing for s in scores), 22)
        self.assertTrue(all(s.position for s in scores if s.position is not None and s.thing))
        # The next scene's picture is not taken for this one's.
        wrong = [score(p, s, self.sprites, matcher).thing for p, s in zip(render(scenes[1:], self.sprites, 96), scenes)]
        self.assertLessEqual(sum(wrong), 6)

    def test_a_gradient_goes_from_its_first_colour_to_its_second(self) -> None:
        scene = next(s for s in (draw_rich_scene(np.random.default_rng([3, i]), self.sprites, 64) for i in range(500)) if s.blend == "gradient")
        picture = render([scene], self.sprites, 64)[0]
        first, other = (torch.tensor(shade) / 127.5 - 1 for shade in (scene.shade, scene.other))
        self.assertLess((picture[:, 0, 0] - first).abs().max().item(), 0.03)
        self.assertLess((picture[:, -1, 0] - other).abs().max().item(), 0.03)

    def test_the_background_is_the_rims(self) -> None:
        picture = torch.tensor([45.0, 95.0, 215.0])[:, None, None].expand(3, 64, 64) / 127.5 - 1
        self.assertEqual(background(picture)[0], "blue")


class Networks(WithSprites):
    def test_a_linear_encoder_gives_principal_components(self) -> None:
        size = SIZES["mini"]
        torch.manual_seed(0)
        pictures = render([draw_scene(np.random.default_rng([5, i]), self.sprites, 64) for i in range(24)], self.sprites, 64)
        vae = Autoencoder(size)
        start_linear(vae, size, pictures)
        components, offset = principal_components(pictures, size.latent)
        squares = pictures.unfold(2, 8, 8).unfold(3, 8, 8)
        expected = torch.einsum("kcyx,nchwyx->nkhw", components, squares) + offset[:, None, None]
        with torch.no_grad():
            found = vae.encode(pictures)[0]
        for k in range(size.latent):
            both = torch.corrcoef(torch.stack([found[:, k].flatten(), expected[:, k].flatten()]))
            self.assertGreater(both[0, 1].item(), 0.995)

    def test_the_last_timestep_is_all_noise(self) -> None:
        noise = Noise("cpu")
        self.assertEqual(noise.alpha[-1].item(), 0.0)
        self.assertEqual(noise.sigma[-1].item(), 1.0)
        self.assertTrue(torch.allclose(noise.alpha**2 + noise.sigma**2, torch.ones(1000), atol=1e-5))

    def test_every_size_runs(self) -> None:
        for size in SIZES.values():
            model = Model(size, 600)
            ids = torch.full((2, size.window), 599)
            x = torch.randn(2, size.latent, 16, 16)
            self.assertEqual(model(x, torch.tensor([5, 900]), ids).shape, x.shape)


class Files(unittest.TestCase):
    def test_pictures_and_tensors_come_back(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
            write_png(Path(folder) / "a.png", rgb)
            self.assertTrue((read_png(Path(folder) / "a.png") == rgb).all())
            tensors = {"b": torch.randn(3, 2), "a": torch.tensor([0.5])}
            write_safetensors(Path(folder) / "t", tensors, {"format": "pt"}, "F32")
            again = read_safetensors(Path(folder) / "t")
            self.assertTrue(all(torch.equal(again[name], tensor) for name, tensor in tensors.items()))


if __name__ == "__main__":
    unittest.main()
