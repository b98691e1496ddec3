"""What the scripts of the text encoders share: inputs, weights, and the stored reference.

Made with torch 2.13.0, transformers 5.23.0, peft 0.21.2 (printed below on every run).
"""

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

LENGTHS = [7, 3, 12, 1, 10, 6]
SIZES = dict(
    vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
    intermediate_size=48, max_position_embeddings=24, num_labels=3,
)


def scramble(model):
    """Weights as drawn are so small that attention is uniform; trained ones are not."""
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.15)
        elif "norm" in name.lower() and name.endswith("weight"):
            parameter.data.normal_(1, 0.1)
        else:
            parameter.data.normal_(0, 0.1)


def inputs(pad, types):
    """Examples of unequal lengths, padded on the right; token types of `types` kinds."""
    longest = max(LENGTHS)
    ids = torch.full((len(LENGTHS), longest), pad)
    kinds = torch.zeros_like(ids)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(2, 96, (length,))
        mask[row, :length] = 1
        if types > 1:
            kinds[row, length // 2 : length] = 1
    ids[0, 3] = pad  # a padding token in the middle of a text
    batch = {"input_ids": ids, "attention_mask": mask}
    return batch | {"token_type_ids": kinds} if types else batch


def packed(rows):
    return torch.cat([rows[i, :n] for i, n in enumerate(LENGTHS)])


def make(here, model, targets, types):
    """Stores the checkpoint in `here`/tiny, a LoRA adapter in `here`/adapter, and what they give."""
    print("torch", torch.__version__, "transformers", transformers.__version__,
          "peft", peft.__version__)
    model.eval()
    scramble(model)
    model.save_pretrained(here / "tiny")
    batch = inputs(model.config.pad_token_id, types)
    labels = torch.tensor([2, 0, 1, 2, 1, 0])
    tensors = {
        "ids": packed(batch["input_ids"]),
        "types": packed(batch.get("token_type_ids", torch.zeros_like(batch["input_ids"]))),
        "lengths": torch.tensor(LENGTHS),
        "labels": labels,
    }
    with torch.no_grad():
        tensors["hidden"] = packed(model.base_model(**batch).last_hidden_state)
        out = model(**batch, labels=labels)
        tensors["logits"], tensors["loss"] = out.logits, out.loss

    config = LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules=targets)
    adapted = get_peft_model(model, config).eval()
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    out = adapted(**batch, labels=labels)
    out.loss.backward()
    tensors["adapter.logits"], tensors["adapter.loss"] = out.logits, out.loss
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            key = name.replace(".default", "").replace(".modules_to_save", "")
            tensors[f"gradient/{key}"] = parameter.grad
    adapted.peft_config["default"].base_model_name_or_path = "tiny"
    adapted.save_pretrained(here / "adapter")
    (here / "adapter" / "README.md").unlink(missing_ok=True)
    tensors = {name: t.detach().contiguous().clone() for name, t in tensors.items()}
    save_file(tensors, here / "reference.safetensors")
    return batch, tensors["logits"]
