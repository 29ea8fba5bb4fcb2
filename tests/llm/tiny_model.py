"""Write a model of random weights, half a megabyte: enough for a real server to load, serve and babble.

    python tiny_model.py tiny.gguf       (needs the package gguf)

A llama of two layers over a vocabulary of bytes and printable characters; its seed is fixed.
"""

from __future__ import annotations

import sys

import numpy as np
from gguf import GGUFWriter, TokenType

WIDTH, LAYERS, HEADS, INNER, CONTEXT = 64, 2, 4, 128, 16_384
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def write(path: str) -> None:
    """Write the model."""
    rng = np.random.default_rng(0)
    control = [(b"<unk>", TokenType.UNKNOWN), (b"<s>", TokenType.CONTROL), (b"</s>", TokenType.CONTROL)]
    single = [(f"<0x{i:02X}>".encode(), TokenType.BYTE) for i in range(256)]
    printable = [(c.encode(), TokenType.NORMAL) for c in ["▁", *map(chr, range(33, 127))]]
    vocabulary = control + single + printable

    def weights(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) * 0.1).astype(np.float32)

    model = GGUFWriter(path, "llama")
    model.add_name("tiny-random")
    model.add_context_length(CONTEXT)
    model.add_embedding_length(WIDTH)
    model.add_block_count(LAYERS)
    model.add_feed_forward_length(INNER)
    model.add_head_count(HEADS)
    model.add_head_count_kv(HEADS)
    model.add_layer_norm_rms_eps(1e-5)
    model.add_rope_dimension_count(WIDTH // HEADS)
    model.add_vocab_size(len(vocabulary))
    model.add_file_type(0)
    model.add_tokenizer_model("llama")
    model.add_token_list([text for text, _ in vocabulary])
    model.add_token_types([int(kind) for _, kind in vocabulary])
    model.add_token_scores([0.0] * len(vocabulary))
    model.add_bos_token_id(1)
    model.add_eos_token_id(2)
    model.add_unk_token_id(0)
    model.add_add_bos_token(True)
    model.add_chat_template(TEMPLATE)
    model.add_tensor("token_embd.weight", weights(len(vocabulary), WIDTH))
    model.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    model.add_tensor("output.weight", weights(len(vocabulary), WIDTH))
    for i in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            model.add_tensor(f"blk.{i}.{name}.weight", weights(WIDTH, WIDTH))
        for name, shape in (
            ("ffn_gate", (INNER, WIDTH)),
            ("ffn_up", (INNER, WIDTH)),
            ("ffn_down", (WIDTH, INNER)),
        ):
            model.add_tensor(f"blk.{i}.{name}.weight", weights(*shape))
        for name in ("attn_norm", "ffn_norm"):
            model.add_tensor(f"blk.{i}.{name}.weight", np.ones(WIDTH, np.float32))
    model.write_header_to_file()
    model.write_kv_data_to_file()
    model.write_tensors_to_file()
    model.close()


if __name__ == "__main__":
    write(sys.argv[1])
