"""Hugging Face transformers on PyTorch: run_transformers.py FOLDER"""

import sys
from pathlib import Path

import protocol
import torch
import transformers
from transformers import RobertaForSequenceClassification

FOLDER = Path(sys.argv[1])
SETTINGS = [
    {"batch": batch, "attention": attention} for attention in ("sdpa", "eager") for batch in (1, 8, 16, 32, 64)
]


def load(setting):
    model = RobertaForSequenceClassification.from_pretrained(FOLDER, attn_implementation=setting["attention"]).eval()

    @torch.inference_mode()
    def score(batch):
        return model(**{name: torch.from_numpy(ids) for name, ids in batch.items()}).logits.numpy()

    return protocol.Texts(FOLDER, setting, score)


if __name__ == "__main__":
    torch.set_num_threads(2)
    transformers.utils.logging.disable_progress_bar()
    name = f"transformers {transformers.__version__}, PyTorch {torch.__version__}"
    protocol.serve(name, SETTINGS, load)
