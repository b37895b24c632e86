"""Encodes sentences by an encoder of the BERT family, read from its folder, with mean pooling.

The folder is as sentence-transformers keeps such models (Reimers and Gurevych 2019): `config.json`,
`model.safetensors`, `tokenizer.json` and, for the longest text, `sentence_bert_config.json`. all-MiniLM-L6-v2 is one.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from chainzrule.training.data.errors import DataError
from chainzrule.training.data.fingerprint import fingerprint_file
from chainzrule.training.text.encoding import Encode

REVISION = 1  # version of the computation, to be raised when the same files give other vectors
BATCH = 32  # texts of similar length that are encoded at a time
FILES = ("config.json", "model.safetensors", "tokenizer.json")
LENGTHS = "sentence_bert_config.json"


class SentenceVectors:
    """Encodes texts as a sentence encoder's normalised vectors; the encoder is never trained here."""

    def __init__(self, folder: Path) -> None:
        """Loads the encoder from its folder.

        Raises:
            DataError: a file is missing or is none of such an encoder's, or the extra `text` is not installed.
        """
        for file in FILES:
            if not (folder / file).is_file():
                raise DataError(f"{folder}: no sentence encoder, which needs {', '.join(FILES)}; {file} is missing")
        try:
            from safetensors import SafetensorError
            from safetensors.torch import load_file
            from tokenizers import Tokenizer
        except ImportError as error:
            raise DataError(f"a sentence encoder needs the package {error.name}: install the extra `text`") from None
        self._folder = folder
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            self._transformer = Transformer(config, load_file(folder / "model.safetensors"))
        except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise DataError(f"{folder}: no encoder of the BERT family ({error})") from None
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises plain Exception
            raise DataError(f"{folder / 'tokenizer.json'}: cannot be read ({error})") from None
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self._longest(config))
        self.names = [f"sentence {number}" for number in range(1, config["hidden_size"] + 1)]

    @property
    def fingerprint(self) -> str:
        """Returns a hash of the files' content and of how they are used."""
        files = [self._folder / file for file in (*FILES, LENGTHS)]
        content = " ".join(fingerprint_file(file) for file in files if file.is_file())
        return hashlib.sha256(f"sentences {REVISION} {content}".encode()).hexdigest()

    def prepare(self, texts: Iterable[str]) -> Encode:
        """Returns the function that encodes any texts."""
        return self._encode

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda place: len(tokens[place]))
        found = np.empty((len(tokens), len(self.names)), np.float32)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            found[places] = self._transformer([tokens[place] for place in places]).numpy()
        return found

    def _longest(self, config: Mapping[str, Any]) -> int:
        """Returns the number of tokens of a text that are read; later ones are ignored."""
        path, most = self._folder / LENGTHS, int(config["max_position_embeddings"])
        if not path.is_file():
            return most
        return min(most, int(json.loads(path.read_text(encoding="utf-8"))["max_seq_length"]))


class Transformer:
    """Computes BERT (Devlin et al. 2019) with the mean of the last layer's tokens on top, scaled to length 1."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Loads the weights.

        Raises:
            KeyError, ValueError, RuntimeError: they are not those of the configuration, or of another family.
        """
        if config["model_type"] != "bert" or config["hidden_act"] != "gelu":
            raise ValueError("of another family")
        width, self._epsilon = config["hidden_size"], config["layer_norm_eps"]
        self._weights = {name: tensor.float() for name, tensor in weights.items() if name.startswith("embeddings.")}
        self._layers = [
            nn.TransformerEncoderLayer(
                width,
                config["num_attention_heads"],
                config["intermediate_size"],
                activation="gelu",
                layer_norm_eps=self._epsilon,
                batch_first=True,
            )
            for _ in range(config["num_hidden_layers"])
        ]
        for number, layer in enumerate(self._layers):
            layer.load_state_dict(_layer(weights, f"encoder.layer.{number}."))
            layer.eval().requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Returns the (texts, width) vectors of the texts' token numbers."""
        longest = max(map(len, tokens))
        ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in tokens])
        padding = torch.arange(longest) >= torch.tensor([len(text) for text in tokens])[:, None]
        h = self._embedded(ids)
        for layer in self._layers:
            h = layer(h, src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(2)
        mean = (h * kept).sum(dim=1) / kept.sum(dim=1)
        return F.normalize(mean, dim=1)

    def _embedded(self, ids: Tensor) -> Tensor:
        parts = self._weights
        h = parts["embeddings.word_embeddings.weight"][ids]
        h = h + parts["embeddings.position_embeddings.weight"][: ids.shape[1]]
        h = h + parts["embeddings.token_type_embeddings.weight"][0]
        scale, shift = (parts[f"embeddings.LayerNorm.{name}"] for name in ("weight", "bias"))
        return F.layer_norm(h, h.shape[-1:], scale, shift, self._epsilon)


def _layer(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Returns a BERT layer's weights under the names of torch's own layer."""
    found = {}
    for kind in ("weight", "bias"):
        parts = [weights[f"{prefix}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
        found[f"self_attn.in_proj_{kind}"] = torch.cat(parts).float()
        for ours, theirs in (
            ("self_attn.out_proj", "attention.output.dense"),
            ("norm1", "attention.output.LayerNorm"),
            ("linear1", "intermediate.dense"),
            ("linear2", "output.dense"),
            ("norm2", "output.LayerNorm"),
        ):
            found[f"{ours}.{kind}"] = weights[f"{prefix}{theirs}.{kind}"].float()
    return found
