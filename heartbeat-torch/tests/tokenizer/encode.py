"""Python's own ids: reads JSON lines with a "text", writes them with what `AutoTokenizer` makes of it in each folder.

`python encode.py < expected.jsonl` writes `expected.jsonl` anew. The folders are those of `folders.json`. A text is
repeated "times" times. Ids are given once for all folders of one fixture where they are the same.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}

from transformers import AutoTokenizer

HERE = Path(__file__).parent
FIXTURES = HERE.parent.parent / "fixtures"


def open_tokenizer(folder, path):
    """Makes the folder and opens what is in it."""
    path.mkdir()
    for name in ["config.json", *folder["take"]]:
        shutil.copy(FIXTURES / folder["from"] / name, path)
    for name, content in folder.get("write", {}).items():
        (path / name).write_text(json.dumps(content))
    config = json.loads((path / "config.json").read_text())
    most = config["max_position_embeddings"] - config["pad_token_id"] - 1
    tokenizer = AutoTokenizer.from_pretrained(path)
    return lambda text: tokenizer(text, truncation=True, max_length=most)["input_ids"]


def main():
    folders = json.loads((HERE / "folders.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        encoders = {it["name"]: (it["from"], open_tokenizer(it, Path(scratch, it["name"]))) for it in folders}
        for line in sys.stdin.buffer:
            line = json.loads(line)
            text, times = line["text"], line.get("times", 1)
            ids = {}
            for name, (fixture, encode) in encoders.items():
                found = encode(text * times)
                if ids.setdefault(fixture, found) != found:
                    ids[name] = found
            out = {"text": text} | ({"times": times} if times > 1 else {}) | {"ids": ids}
            print(json.dumps(out, separators=(",", ":")))


if __name__ == "__main__":
    main()
