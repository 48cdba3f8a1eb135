"""Language models of Table 6a's classes with random weights and a vocabulary of their own."""

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

CLASSES = ("LlamaForCausalLM", "Gemma2ForCausalLM")
SPECIAL = ("<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>")
TURN = "{{ '<start_of_turn>' + %s + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}"
OPEN = "{%% if add_generation_prompt %%}{{ '<start_of_turn>%s\\n' }}{%% endif %%}"
# Llama takes any roles. Gemma-2 takes no system prompt and wants user and model in turn.
TEMPLATES = {
    "LlamaForCausalLM": (
        "{{ bos_token }}{% for message in messages %}"
        + TURN % "message['role']" + "{% endfor %}" + OPEN % "assistant"
    ),
    "Gemma2ForCausalLM": (
        "{{ bos_token }}{% for message in messages %}"
        "{% if message['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}"
        + TURN % "('model' if message['role'] == 'assistant' else 'user')"
        + "{% endfor %}" + OPEN % "model"
    ),
}  # fmt: skip


def write(folder: Path, kind: str) -> None:
    """A checkpoint of class `kind` as vLLM loads it: weights, tokenizer, chat template."""
    torch.manual_seed(0)
    tokenizer = _tokenizer(kind)
    shape = {
        "vocab_size": len(tokenizer), "hidden_size": 128, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
        "max_position_embeddings": 2048, "initializer_range": 0.3,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": [2, 4],
    }  # fmt: skip
    if kind == "Gemma2ForCausalLM":
        config = transformers.Gemma2Config(**shape, query_pre_attn_scalar=32, sliding_window=256)
    else:
        config = transformers.LlamaConfig(**shape)
    getattr(transformers, kind)(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer(kind: str) -> transformers.PreTrainedTokenizerFast:
    """Bytes, and nothing longer."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *letters))}
    bytes_alone = Tokenizer(models.BPE(vocabulary, []))
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    pad, bos, eos, *turns = SPECIAL
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytes_alone, pad_token=pad, bos_token=bos, eos_token=eos,
        additional_special_tokens=turns,
    )  # fmt: skip
    tokenizer.chat_template = TEMPLATES[kind]
    return tokenizer
