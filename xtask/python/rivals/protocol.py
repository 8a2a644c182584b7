"""How the bench and an engine talk: a JSON value a line, requests on stdin, answers on stdout.

An engine begins with {"engine": its name and version, "settings": [the settings worth trying]}. Then:

    {"load": n}      loads the model with the n-th setting in place of what was loaded -> {"seconds": s}
    {"pass": null}   scores all texts -> {"seconds": s, "probabilities": [[negative, neutral, positive], ...]}
    {"lone": pause}  scores each text by itself, so many seconds of rest before each -> {"seconds": [s, ...]}

The texts are tokenised, sorted and put in batches before the clock starts. Between requests the engine must not use
the processor: it waits for the next line.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

PADDING = 1

Setting = dict[str, Any]
Batch = dict[str, np.ndarray]


class Engine(Protocol):
    """What is loaded with a setting."""

    def once(self) -> dict[str, Any]: ...

    def lone(self, pause: float) -> list[float]: ...


def serve(engine: str, settings: list[Setting], load: Callable[[Setting], Engine]) -> None:
    """Answers until stdin ends."""
    say({"engine": engine, "settings": settings})
    loaded = None
    for line in sys.stdin:
        request = json.loads(line)
        if "load" in request:
            loaded = None  # before the next: memory need not have room for two
            started = time.perf_counter()
            loaded = load(settings[request["load"]])
            say({"seconds": time.perf_counter() - started})
        elif "lone" in request:
            say({"seconds": loaded.lone(request["lone"])})
        else:
            say(loaded.once())


class Texts:
    """The texts of the contest in batches, and what scores one: to logits, a row a text."""

    def __init__(self, folder: Path, setting: Setting, score: Callable[[Batch], np.ndarray]) -> None:
        ids = json.loads((folder / "texts.json").read_text(encoding="utf-8"))["ids"]
        self.order, self.batches = make_batches(ids, setting["batch"])
        self.score = score
        callers = setting.get("callers", 1)
        self.map = ThreadPoolExecutor(callers).map if callers > 1 else map

    def once(self) -> dict[str, Any]:
        started = time.perf_counter()
        logits = list(self.map(self.score, self.batches))
        seconds = time.perf_counter() - started
        logits = np.concatenate(logits).astype(np.float64)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        probabilities = np.empty_like(powers)
        probabilities[self.order] = powers / powers.sum(1, keepdims=True)
        return {"seconds": seconds, "probabilities": probabilities.tolist()}

    def lone(self, pause: float) -> list[float]:
        seconds = []
        for batch in self.batches:
            time.sleep(pause)
            started = time.perf_counter()
            self.score(batch)
            seconds.append(time.perf_counter() - started)
        return seconds


def make_batches(ids: list[list[int]], size: int) -> tuple[list[int], list[Batch]]:
    """So many texts a batch, the longest first, padded to the longest of the batch; and the order they are in."""
    order = sorted(range(len(ids)), key=lambda n: -len(ids[n]))
    batches = []
    for start in range(0, len(order), size):
        rows = [ids[n] for n in order[start : start + size]]
        input_ids = np.full((len(rows), max(map(len, rows))), PADDING, dtype=np.int64)
        for padded, row in zip(input_ids, rows, strict=True):
            padded[: len(row)] = row
        batches.append({"input_ids": input_ids, "attention_mask": (input_ids != PADDING).astype(np.int64)})
    return order, batches


def say(value: Any) -> None:
    print(json.dumps(value), flush=True)
