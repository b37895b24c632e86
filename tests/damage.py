"""Ways of damaging what was good, as a random generator draws them: bytes, numbers and JSON."""

import json
import random
import struct
from typing import Any

import numpy as np

ODD = [
    None, True, False, 0, 1, -1, 2, 3, 16, 2**31, 2**32, 2**63, 2**64 - 1, 2**64, -(2**63), 1e39, 0.5, 1e-320, "", "x",
    "FP32", "BYTES", "INT64", "features", "label", "jacobian", [], [0], [[]], [1, 2], [-1, 2], {},
    {"binary_data_size": 8},
]  # fmt: skip
INTERESTING = (b"\x00", b"\xff", b"\x7f\xc0\x00\x00", struct.pack("<I", 2**32 - 1), b'"', b"{", b"}", b"[", b",", b"\\")


def damaged_bytes(rng: random.Random, content: bytes) -> bytes:
    """Bytes flipped, put in, taken out, repeated or cut off."""
    at = rng.randint(0, len(content))
    until = rng.randint(at, min(len(content), at + rng.choice((1, 4, 64))))
    new = rng.choice((b"", rng.choice(INTERESTING), rng.randbytes(rng.randint(1, 8)), content[at:until] * 2))
    return content[:at] + new if rng.random() < 0.2 else content[:at] + new + content[until:]


def damaged_floats(rng: random.Random, raw: bytes) -> bytes:
    """A number that is odd, where there may be one."""
    if len(raw) < 4:
        return raw
    at = rng.randrange(0, len(raw) - 3, 4)
    value = rng.choice((np.nan, np.inf, -np.inf, 3.4e38, 1e-45, -0.0))
    return raw[:at] + struct.pack("<f", value) + raw[at + 4 :]


def damaged_document(rng: random.Random, text: bytes) -> bytes:
    """A member of the JSON changed, taken away, added or doubled."""
    try:
        document = json.loads(text)
    except ValueError:
        return text
    node: Any = document
    while rng.random() < 0.85:
        children = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
        children = [child for child in children if isinstance(child, dict | list) and child]
        if not children:
            break
        node = rng.choice(children)
    if isinstance(node, dict) and node:
        key = rng.choice([*node, "data", "parameters", "binary_data_size", "shape"])
        if rng.random() < 0.3:
            node.pop(key, None)
        else:
            node[key] = rng.choice(ODD)
    elif isinstance(node, list) and node:
        at = rng.randrange(len(node))
        node[at : at + rng.randint(0, 1)] = rng.choice(([rng.choice(ODD)], [], [node[at], node[at]]))
    return json.dumps(document).encode()
