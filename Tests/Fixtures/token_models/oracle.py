"""Makes tiny random checkpoints of token classifiers, question answerers and masked language models.

oracle.py FOLDER fills FOLDER/<architecture>-<task> with a checkpoint and reference.safetensors: ids,
lengths, targets, and the logits and losses that transformers gives. Pinned as in encoders.py.
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import (
    AutoConfig, AutoModelForMaskedLM, AutoModelForQuestionAnswering, AutoModelForTokenClassification,
)

SIZES = dict(
    vocab_size=64, hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
    intermediate_size=40, max_position_embeddings=32,
)
RELATIVE = dict(relative_attention=True, pos_att_type=["c2p", "p2c"], position_biased_input=False)
ARCHITECTURES = {
    "bert": ("bert", SIZES), "roberta": ("roberta", SIZES | dict(pad_token_id=1)),
    "distilbert": ("distilbert", dict(
        vocab_size=64, dim=24, n_layers=2, n_heads=4, hidden_dim=40, max_position_embeddings=32)),
    "albert": ("albert", SIZES | dict(embedding_size=12)),
    "deberta": ("deberta", SIZES | RELATIVE),
    "deberta-v2": ("deberta-v2", SIZES | RELATIVE),
}
TASKS = {
    "tags": AutoModelForTokenClassification, "answer": AutoModelForQuestionAnswering,
    "masked": AutoModelForMaskedLM,
}
LENGTH, COUNT = 9, 3  # of one length, as transformers counts padding in the loss of answers

for index, (name, (kind, options)) in enumerate(ARCHITECTURES.items()):
    for task, auto in TASKS.items():
        torch.manual_seed(100 + index)
        model = auto.from_config(AutoConfig.for_model(
            kind, **options, num_labels=2 if task == "answer" else 5)).eval()
        for key, parameter in model.named_parameters():
            scale = 0.2 if parameter.dim() > 1 else 0.1
            parameter.data.normal_(1 if "norm" in key.lower() and "weight" in key else 0, scale)
        folder = pathlib.Path(sys.argv[1]) / f"{name}-{task}"
        model.save_pretrained(folder)
        ids = torch.randint(3, 64, (COUNT, LENGTH))
        found = {"ids": ids}
        with torch.no_grad():
            if task == "answer":
                first, last = torch.tensor([1, 0, 4]), torch.tensor([2, 0, 8])
                out = model(input_ids=ids, start_positions=first, end_positions=last)
                found["logits"] = torch.stack([out.start_logits, out.end_logits], 2)
                found["first"], found["last"] = first, last
            else:
                labels = torch.randint(0, 5, (COUNT, LENGTH))
                labels[:, ::2] = -100
                out = model(input_ids=ids, labels=labels)
                found["logits"], found["labels"] = out.logits, labels
            found["loss"] = out.loss
        save_file({k: v.contiguous().clone() for k, v in found.items()},
                  folder / "reference.safetensors")
