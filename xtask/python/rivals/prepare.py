"""Makes what all engines of the contest run: a model, texts with their token ids, and graphs of the model.

    prepare.py TWEETS.jsonl FOLDER

The model has RoBERTa-base's shape and random weights, spread so that its scores differ from text to text: with the
usual spread they hardly do, and an engine's errors would not show. Its byte-level BPE is trained on the tweets.
"""

import json
import sys
from pathlib import Path

import onnx
import openvino
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model
from tokenizers import ByteLevelBPETokenizer
from transformers import AttentionInterface, AutoTokenizer, RobertaConfig, RobertaForSequenceClassification

COUNT = 256  # texts of the contest
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
LABELS = ["negative", "neutral", "positive"]


def main(tweets: Path, folder: Path) -> None:
    torch.set_grad_enabled(False)
    posts = [json.loads(line)["text"] for line in tweets.read_text(encoding="utf-8").splitlines()]
    make_tokenizer(posts, folder)
    # Every so many of the different ones: an engine may score equal texts once. Heartbeat would replace users and
    # links itself, and all shall score the same.
    posts = list(dict.fromkeys(map(preprocess, posts)))
    texts = [posts[n * len(posts) // COUNT] for n in range(COUNT)]
    ids = AutoTokenizer.from_pretrained(folder)(texts)["input_ids"]
    (folder / "texts.json").write_text(json.dumps({"texts": texts, "ids": ids}), encoding="utf-8")
    model = make_model(folder, ids)
    for_openvino(model, folder)
    for_onnxruntime(model, folder)


def preprocess(post: str) -> str:
    return " ".join(map(placeholder, post.split(" ")))


def placeholder(word: str) -> str:
    if word.startswith("@") and len(word) > 1:
        return "@user"
    return "http" if word.startswith("http") else word


def make_tokenizer(posts: list[str], folder: Path) -> None:
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(posts, vocab_size=6000, min_frequency=2, special_tokens=SPECIAL)
    tokenizer.save_model(str(folder))
    # It also tells AutoTokenizer which kind it is.
    RobertaConfig(
        vocab_size=50265,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=0.05,
        id2label=dict(enumerate(LABELS)),
        label2id={label: n for n, label in enumerate(LABELS)},
    ).save_pretrained(folder)


def make_model(folder: Path, ids: list[list[int]]) -> RobertaForSequenceClassification:
    torch.manual_seed(0)
    model = RobertaForSequenceClassification(RobertaConfig.from_pretrained(folder)).eval()
    # Logits with mean 0 and deviation 1 over some of the texts, so that every label wins somewhere.
    logits = torch.cat([model(torch.tensor([row])).logits for row in ids[::8]])
    last = model.classifier.out_proj
    last.weight.div_(logits.std(0)[:, None])
    last.bias.sub_(logits.mean(0)).div_(logits.std(0))
    model.save_pretrained(folder)
    return model


def example() -> dict[str, torch.Tensor]:
    ids = torch.tensor([[0, 100, 101, 102, 2], [0, 100, 101, 2, 1]])
    return {"input_ids": ids, "attention_mask": (ids != 1).long()}


def for_openvino(model: RobertaForSequenceClassification, folder: Path) -> None:
    graph = openvino.convert_model(model, example_input=example())
    openvino.save_model(graph, folder / "openvino.xml", compress_to_fp16=False)


class AsInBert(torch.nn.Module):
    """The model with BERT's own words for mask and attention, which ONNX Runtime's optimizer looks for."""

    def __init__(self, model: RobertaForSequenceClassification) -> None:
        super().__init__()
        AttentionInterface.register("as_in_bert", self.attention)
        model.set_attn_implementation("as_in_bert")
        self.model = model

    @staticmethod
    def attention(_, query, key, value, mask, scaling, **__):
        scores = query @ key.transpose(2, 3) / (1 / scaling) + mask
        return (scores.softmax(-1) @ value).transpose(1, 2), None

    def forward(self, input_ids, attention_mask):
        mask = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * -10000.0
        return self.model(input_ids, attention_mask=mask).logits


def for_onnxruntime(model: RobertaForSequenceClassification, folder: Path) -> None:
    plain, fused = folder / "plain.onnx", folder / "fused.onnx"
    inputs = example()
    torch.onnx.export(
        AsInBert(model),
        tuple(inputs.values()),
        plain,
        input_names=list(inputs),
        output_names=["logits"],
        dynamic_axes={name: {0: "texts", 1: "tokens"} for name in inputs} | {"logits": {0: "texts"}},
        opset_version=17,
        dynamo=False,  # the optimizer knows the attention of this exporter's graphs
    )
    config = model.config
    optimizer = optimize_model(
        str(plain), model_type="bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size
    )
    optimizer.save_model_to_file(str(fused))
    fusions = [node.op_type for node in onnx.load(fused).graph.node].count("Attention")
    if fusions != config.num_hidden_layers:
        sys.exit(f"ONNX Runtime fused the attention of {fusions} layers only, which is not its best")
    for graph in (plain, fused):
        for reduced in (False, True):
            quantize_dynamic(
                graph,
                folder / f"{graph.stem}-int8{'-reduced' if reduced else ''}.onnx",
                per_channel=True,
                reduce_range=reduced,
                weight_type=QuantType.QInt8,
                # What fused operators give, which shape inference does not know.
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
