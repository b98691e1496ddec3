"""Makes adapter folders as Python PEFT writes them, on the tiny checkpoint of ../bert.

Run from the package root, after make_bert.py:
.venv-oracle/bin/python Tests/Fixtures/lora/make_lora.py
Made with torch 2.13.0, transformers 5.23.0, peft 0.21.2 (printed below on every run).
"""

import pathlib

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import BertForSequenceClassification

HERE = pathlib.Path(__file__).parent
BERT = HERE.parent / "bert"

CASES = {
    "plain": dict(r=4, lora_alpha=6, target_modules=["query", "value"]),
    "patterns": dict(
        r=2, lora_alpha=4, use_rslora=True, target_modules=r".*\.(query|key|dense)",
        exclude_modules=["pooler.dense"], rank_pattern={"layer.1.attention.self.query": 3},
        alpha_pattern={r"layer\.\d\.output\.dense": 9},
    ),
    "bias": dict(r=2, target_modules=["query"], bias="lora_only"),
    "biases": dict(r=2, target_modules=["value"], bias="all"),
    "all-linear": dict(r=1, target_modules="all-linear", modules_to_save=["pooler"]),
    "layers": dict(r=2, target_modules=["key"], layers_to_transform=[1]),
}


def main():
    print("torch", torch.__version__, "transformers", transformers.__version__,
          "peft", peft.__version__)
    torch.manual_seed(21)
    reference = load_file(BERT / "reference.safetensors")
    lengths = reference["lengths"].tolist()
    ids = torch.nn.utils.rnn.pad_sequence(reference["ids"].split(lengths), batch_first=True)
    types = torch.nn.utils.rnn.pad_sequence(reference["types"].split(lengths), batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones(n) for n in lengths], batch_first=True)
    logits = {}
    for name, options in CASES.items():
        model = BertForSequenceClassification.from_pretrained(BERT / "tiny")
        model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", **options)).eval()
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.add_(torch.randn_like(parameter) * 0.1)
        with torch.no_grad():
            logits[name] = model(
                input_ids=ids, token_type_ids=types, attention_mask=mask.long()).logits
        model.peft_config["default"].base_model_name_or_path = "tiny"
        model.save_pretrained(HERE / name)
        (HERE / name / "README.md").unlink(missing_ok=True)
    save_file(logits, HERE / "logits.safetensors")


if __name__ == "__main__":
    main()
