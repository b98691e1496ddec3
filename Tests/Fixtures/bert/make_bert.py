"""Makes the stored reference of BERT: a tiny random checkpoint, inputs, outputs, gradients.

Run from the package root: .venv-oracle/bin/python Tests/Fixtures/bert/make_bert.py
Made with torch 2.13.0, transformers 5.23.0, peft 0.21.2 (printed below on every run).
"""

import pathlib

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import BertConfig, BertForSequenceClassification

HERE = pathlib.Path(__file__).parent
LENGTHS = [7, 3, 12, 1, 10, 6]


def tiny_model():
    config = BertConfig(
        vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=24, num_labels=3,
    )
    model = BertForSequenceClassification(config).eval()
    # Weights as drawn are so small that attention is uniform; trained ones are not.
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.15)
        elif "LayerNorm.weight" in name:
            parameter.data.normal_(1, 0.1)
        else:
            parameter.data.normal_(0, 0.1)
    return model


def inputs():
    longest = max(LENGTHS)
    ids = torch.zeros(len(LENGTHS), longest, dtype=torch.long)
    types = torch.zeros_like(ids)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(1, 96, (length,))
        types[row, length // 2 : length] = 1
        mask[row, :length] = 1
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}


def mean_logits(model, batch):
    """Mean over tokens, then the classifier; what Apus calls mean pooling."""
    hidden = model.bert(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    return model.classifier((hidden * mask).sum(1) / mask.sum(1))


def main():
    print("torch", torch.__version__, "transformers", transformers.__version__,
          "peft", peft.__version__)
    torch.manual_seed(20)
    model = tiny_model()
    model.save_pretrained(HERE / "tiny")
    batch = inputs()
    labels = torch.tensor([2, 0, 1, 2, 1, 0])
    tensors = {
        "ids": torch.cat([batch["input_ids"][i, :n] for i, n in enumerate(LENGTHS)]),
        "types": torch.cat([batch["token_type_ids"][i, :n] for i, n in enumerate(LENGTHS)]),
        "lengths": torch.tensor(LENGTHS),
        "labels": labels,
    }
    with torch.no_grad():
        hidden = model.bert(**batch).last_hidden_state
        tensors["hidden"] = torch.cat([hidden[i, :n] for i, n in enumerate(LENGTHS)])
        tensors["logits.mean"] = mean_logits(model, batch)
        out = model(**batch, labels=labels)
        tensors["logits.cls"], tensors["loss.cls"] = out.logits, out.loss

    config = LoraConfig(
        task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules=["query", "value", "dense"],
        lora_dropout=0.0,
    )
    adapted = get_peft_model(model, config).eval()
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data.normal_(0, 0.1)
    loss = adapted(**batch, labels=labels).loss
    loss.backward()
    tensors["loss.lora"] = loss.detach()
    tensors["logits.lora"] = adapted(**batch).logits.detach()
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            key = name.replace(".default", "").replace(".modules_to_save", "")
            tensors[f"value/{key}"] = parameter.detach()
            tensors[f"gradient/{key}"] = parameter.grad
    tensors = {name: t.detach().contiguous().clone() for name, t in tensors.items()}
    save_file(tensors, HERE / "reference.safetensors")


if __name__ == "__main__":
    main()
