"""Asks transformers (and peft) what a checkpoint and adapter folders compute.

Usage: oracle.py CHECKPOINT INPUTS OUTPUTS [ADAPTER ...]
INPUTS holds ids [T], types [T] and lengths [B]. OUTPUTS gets hidden [T, D] of the encoder, logits
[B, C] if CHECKPOINT is a sequence classifier or [T, V] if it is a causal language model, and
logits.0, logits.1, ... of the adapters.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

checkpoint, inputs, outputs = sys.argv[1:4]
data = load_file(inputs)
lengths = data["lengths"].tolist()
config = json.loads((pathlib.Path(checkpoint) / "config.json").read_text())
pad = config.get("pad_token_id") or 0
batch = {
    "input_ids": pad_sequence(data["ids"].split(lengths), batch_first=True, padding_value=pad),
    "token_type_ids": pad_sequence(data["types"].split(lengths), batch_first=True),
    "attention_mask": pad_sequence([torch.ones(n, dtype=torch.long) for n in lengths], True),
}
names = config.get("architectures") or [""]
writes = "ForCausalLM" in names[0] or "LMHead" in names[0]
family = AutoModelForCausalLM if writes else AutoModelForSequenceClassification


def logits(model):
    found = model(**batch).logits
    return torch.cat([found[i, :n] for i, n in enumerate(lengths)]) if writes else found


if writes or config["model_type"] == "distilbert":
    del batch["token_type_ids"]
with torch.no_grad():
    hidden = AutoModel.from_pretrained(checkpoint).eval()(**batch).last_hidden_state
    found = {"hidden": torch.cat([hidden[i, :n] for i, n in enumerate(lengths)])}
    if writes or "ForSequence" in names[0]:
        found["logits"] = logits(family.from_pretrained(checkpoint).eval())
    for index, adapter in enumerate(sys.argv[4:]):
        from peft import PeftModel

        model = PeftModel.from_pretrained(family.from_pretrained(checkpoint), adapter)
        found[f"logits.{index}"] = logits(model.eval())
save_file(found, outputs)
