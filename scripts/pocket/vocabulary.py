"""A byte-pair vocabulary in CLIP's format, learned from captions, and its encoder for ASCII text."""
from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

# CLIP's pattern on ASCII; digits one by one.
WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+")
BOS, EOS = "<|startoftext|>", "<|endoftext|>"


def alphabet() -> list[str]:
    """CLIP's names of the 256 bytes, printable ones first."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = 256 - len(printable)
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(others)]


def learn_merges(captions: list[str], most: int) -> list[tuple[str, str]]:
    """The usual greedy merges, the most frequent pair first; ties go to the pair that sorts first."""
    counts = Counter(word for caption in captions for word in WORDS.findall(caption.lower()))
    words = {word: (*word[:-1], word[-1] + "</w>") for word in counts}
    merges: list[tuple[str, str]] = []
    while len(merges) < most:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = {word: merge(symbols, best) for word, symbols in words.items()}
    return merges


def merge(symbols: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    out: list[str] = []
    i = 0
    while i < len(symbols):
        if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair:
            out.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return tuple(out)


class Vocabulary:
    def __init__(self, merges: list[tuple[str, str]], window: int):
        letters = alphabet()
        tokens = [*letters, *(a + "</w>" for a in letters), *(a + b for a, b in merges), BOS, EOS]
        self.merges, self.window = merges, window
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.ranks = {pair: i for i, pair in enumerate(merges)}
        self.bos, self.eos = self.ids[BOS], self.ids[EOS]
        self._cache: dict[str, list[int]] = {}

    def _word(self, word: str) -> list[int]:
        if word not in self._cache:
            symbols = (*word[:-1], word[-1] + "</w>")
            while len(symbols) > 1:
                best = min(zip(symbols, symbols[1:]), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
                if best not in self.ranks:
                    break
                symbols = merge(symbols, best)
            self._cache[word] = [self.ids[s] for s in symbols]
        return self._cache[word]

    def encode(self, text: str) -> list[int]:
        """One window: BOS, the text, EOS to its end, as sdgen makes it."""
        ids = [i for word in WORDS.findall(text.lower()) for i in self._word(word)][: self.window - 2]
        return [self.bos, *ids, *[self.eos] * (self.window - 1 - len(ids))]

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vocab.json").write_text(json.dumps(self.ids, ensure_ascii=False), encoding="utf8")
        lines = "\n".join(f"{a} {b}" for a, b in self.merges)
        (folder / "merges.txt").write_text(f"#version: 0.2\n{lines}\n", encoding="utf8")
        special = {"bos_token": BOS, "eos_token": EOS, "pad_token": EOS}
        (folder / "special_tokens_map.json").write_text(json.dumps(special))
        (folder / "tokenizer_config.json").write_text(json.dumps({**special, "model_max_length": self.window}))


def load(folder: Path, window: int) -> Vocabulary:
    lines = (folder / "merges.txt").read_text(encoding="utf8").split("\n")[1:]
    return Vocabulary([(a, b) for a, b in (line.split(" ") for line in lines if line)], window)
