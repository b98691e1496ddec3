"""Stores what transformers computes of the pretrained pico-llama: logits, loss, generated tokens.

Run from the package root: .venv-oracle/bin/python Tests/Fixtures/pico_llama/make_pico_llama.py
The checkpoint is read from ../shared/models. Made with torch 2.13.0, transformers 5.23.0.
"""

import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).parent
FOLDER = HERE.parents[3] / "shared" / "models" / "pico-llama"
TEXTS = [
    "The meeting was about the new", "Natalia sold clips to 48 of her friends in April, and then",
    "Stocks", "In the second half of the year, the government of the country said that it would",
]

torch.set_num_threads(1)
print("torch", torch.__version__, "transformers", transformers.__version__)
tokenizer = AutoTokenizer.from_pretrained(FOLDER, padding_side="left")
model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
batch = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
found = {"ids": batch["input_ids"], "mask": batch["attention_mask"]}
texts = {"prompts": TEXTS}
with torch.no_grad():
    lasts, losses = [], []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        out = model(input_ids=ids, labels=ids)
        lasts.append(out.logits[0, -1])
        losses.append(out.loss)
    found["last_logits"], found["losses"] = torch.stack(lasts), torch.stack(losses)
    for name, options in {
        "greedy": dict(), "beams": dict(num_beams=4, length_penalty=0.8),
    }.items():
        tokens = model.generate(**batch, do_sample=False, max_new_tokens=16, **options)
        found[name] = tokens[:, batch["input_ids"].shape[1]:]
        texts[name] = tokenizer.batch_decode(found[name], skip_special_tokens=True)
save_file({key: value.contiguous() for key, value in found.items()}, HERE / "reference.safetensors")
(HERE / "texts.json").write_text(json.dumps(texts, ensure_ascii=False, indent=1) + "\n")
print(json.dumps(texts, indent=1))
