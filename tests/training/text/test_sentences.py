"""The sentence encoder against BERT's own equations, on a small network with drawn weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy.special import erf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from chainzrule.training.data.errors import DataError
from chainzrule.training.text.sentences import SentenceVectors

WIDTH, HEADS, INNER, LAYERS, LONGEST, EPSILON = 12, 3, 20, 2, 6, 1e-12
WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "good", "bad", "food", "the"]

Floats = NDArray[np.float64]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return 0.5 * torch.randn(shape, generator=generator)

    weights = {
        "embeddings.word_embeddings.weight": drawn(len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": drawn(16, WIDTH),
        "embeddings.token_type_embeddings.weight": drawn(2, WIDTH),
        "embeddings.LayerNorm.weight": drawn(WIDTH),
        "embeddings.LayerNorm.bias": drawn(WIDTH),
        "pooler.dense.weight": drawn(WIDTH, WIDTH),
    }
    for number in range(LAYERS):
        for name, outputs, inputs in (
            *((f"attention.self.{part}", WIDTH, WIDTH) for part in ("query", "key", "value")),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", INNER, WIDTH),
            ("output.dense", WIDTH, INNER),
        ):
            weights[f"encoder.layer.{number}.{name}.weight"] = drawn(outputs, inputs)
            weights[f"encoder.layer.{number}.{name}.bias"] = drawn(outputs)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            weights[f"encoder.layer.{number}.{name}.weight"] = drawn(WIDTH)
            weights[f"encoder.layer.{number}.{name}.bias"] = drawn(WIDTH)
    save_file(weights, tmp_path / "model.safetensors")
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": WIDTH,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "intermediate_size": INNER,
        "layer_norm_eps": EPSILON,
        "max_position_embeddings": 16,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": LONGEST}))
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.enable_padding(length=8)  # as the files in circulation have it; texts differ in length all the same
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def by_the_equations(folder: Path, tokens: list[int]) -> Floats:
    from safetensors.numpy import load_file

    w = {name: tensor.astype(np.float64) for name, tensor in load_file(folder / "model.safetensors").items()}

    def normalised(h: Floats, name: str) -> Floats:
        centred = h - h.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(h: Floats, name: str) -> Floats:
        return h @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    h = w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.token_type_embeddings.weight"][0]
    h = normalised(h + w["embeddings.position_embeddings.weight"][: len(tokens)], "embeddings.LayerNorm")
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        q, k, v = (linear(h, f"{layer}.attention.self.{part}") for part in ("query", "key", "value"))
        heads = []
        for part in np.split(np.arange(WIDTH), HEADS):
            attention = np.exp(q[:, part] @ k[:, part].T / np.sqrt(WIDTH / HEADS))
            heads.append(attention / attention.sum(axis=1, keepdims=True) @ v[:, part])
        attended = linear(np.hstack(heads), f"{layer}.attention.output.dense")
        h = normalised(h + attended, f"{layer}.attention.output.LayerNorm")
        inner = linear(h, f"{layer}.intermediate.dense")
        inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
        h = normalised(h + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean = h.mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_texts_of_different_lengths_are_encoded_by_the_equations(folder: Path) -> None:
    encoding = SentenceVectors(folder)
    texts = ["The good food", "bad", "", "the the the the the the the", "Strange food"]
    tokens = [[1, 7, 4, 6, 2], [1, 5, 2], [1, 2], [1, 7, 7, 7, 7, 2], [1, 3, 6, 2]]  # the fourth is cut off
    found = encoding.prepare(texts)(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [by_the_equations(folder, text) for text in tokens], atol=2e-6)
    assert encoding.names == [f"sentence {number}" for number in range(1, WIDTH + 1)]


def test_the_fingerprint_covers_the_weights_and_the_longest_text(folder: Path) -> None:
    before = SentenceVectors(folder).fingerprint
    assert SentenceVectors(folder).fingerprint == before
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 5}))
    assert SentenceVectors(folder).fingerprint != before


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model.safetensors", None, "model.safetensors is missing"),
        ("model.safetensors", b"no tensors", "no encoder of the BERT family"),
        ("config.json", b'{"model_type": "gpt2", "hidden_act": "gelu"}', "no encoder of the BERT family"),
        ("config.json", b"{}", "no encoder of the BERT family"),
        ("tokenizer.json", b"{}", "tokenizer.json: cannot be read"),
    ],
)
def test_a_folder_of_something_else_is_refused(folder: Path, file: str, content: bytes | None, message: str) -> None:
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(DataError, match=message):
        SentenceVectors(folder)
