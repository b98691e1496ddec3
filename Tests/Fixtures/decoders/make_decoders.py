"""Makes the stored reference of the decoders: tiny random checkpoints, and what they give.

Run from the package root: .venv-oracle/bin/python Tests/Fixtures/decoders/make_decoders.py
A folder for each variant gets `tiny` (causal language model), `cls` (sequence classifier),
`adapter` (LoRA on the customary targets) and reference.safetensors.
Made with torch 2.13.0, transformers 5.23.0, peft 0.21.2 (printed below on every run).
"""

import json
import pathlib

import peft
import torch
import transformers
from peft import LoraConfig, TaskType, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

LENGTHS = [7, 3, 12, 1, 10]
SIZES = dict(
    vocab_size=64, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0,
    bos_token_id=1, eos_token_id=2,
)
LLAMA3 = dict(
    rope_type="llama3", rope_theta=1000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=32,
)
VARIANTS = {
    "llama": ("llama", SIZES),
    "llama3": ("llama", SIZES | dict(
        rope_parameters=LLAMA3, tie_word_embeddings=True, attention_bias=True, mlp_bias=True)),
    "llama-linear": ("llama", SIZES | dict(
        rope_parameters=dict(rope_type="linear", factor=2.5, rope_theta=500.0), head_dim=12,
        num_key_value_heads=4)),
    "mistral": ("mistral", SIZES | dict(sliding_window=4)),
    "qwen2": ("qwen2", SIZES | dict(
        use_sliding_window=True, sliding_window=5, max_window_layers=1, tie_word_embeddings=True,
        num_hidden_layers=3)),
    "qwen3": ("qwen3", SIZES | dict(head_dim=10)),
    "gemma": ("gemma", SIZES | dict(head_dim=10, num_key_value_heads=1)),
    "gemma2": ("gemma2", SIZES | dict(
        head_dim=10, sliding_window=4, num_hidden_layers=3, query_pre_attn_scalar=20, attn_logit_softcapping=2.0,
        final_logit_softcapping=3.0)),
    "gpt2": ("gpt2", dict(
        vocab_size=64, n_embd=24, n_layer=2, n_head=4, n_positions=64, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, scale_attn_by_inverse_layer_idx=True)),
}


def scramble(model):
    """Weights as drawn are so small that attention is uniform; trained ones are not."""
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.2)
        elif "norm" in name.lower() or "ln_" in name:
            parameter.data.normal_(0.5 if name.endswith("weight") else 0, 0.1)
        else:
            parameter.data.normal_(0, 0.1)


def batches():
    """The same examples padded on the right, on the left, and with masked places between."""
    longest = max(LENGTHS)
    rows = [torch.randint(3, 64, (n,)) for n in LENGTHS]
    right = torch.zeros(len(rows), longest, dtype=torch.long)
    left, right_mask, left_mask = right.clone(), right.clone(), right.clone()
    for index, row in enumerate(rows):
        right[index, : len(row)], right_mask[index, : len(row)] = row, 1
        left[index, longest - len(row):], left_mask[index, longest - len(row):] = row, 1
    gaps = torch.randint(3, 64, right.shape)
    gaps_mask = (torch.rand(right.shape) < 0.6).long()
    gaps_mask[:, 2] = 1
    return {"right": (right, right_mask), "left": (left, left_mask), "gaps": (gaps, gaps_mask)}


def language(folder, kind, options, found):
    config = AutoConfig.for_model(kind, **options)
    model = AutoModelForCausalLM.from_config(config).eval()
    scramble(model)
    model.save_pretrained(folder / "tiny", max_shard_size="20KB")
    padded = batches()
    with torch.no_grad():
        for name, (ids, mask) in padded.items():
            found[f"{name}.ids"], found[f"{name}.mask"] = ids, mask
            found[f"{name}.logits"] = model(input_ids=ids, attention_mask=mask).logits
    ids, mask = padded["right"]
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :2] = -100
    found["labels"] = labels
    found["loss"] = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    generate(model, *padded["left"], found)

    adapted = get_peft_model(model, LoraConfig(task_type=TaskType.CAUSAL_LM, r=4, lora_alpha=6))
    adapted.eval()
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    out = adapted(input_ids=ids, attention_mask=mask, labels=labels)
    out.loss.backward()
    found["adapter.logits"], found["adapter.loss"] = out.logits, out.loss
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            found[f"gradient/{name.replace('.default', '')}"] = parameter.grad
    adapted.peft_config["default"].base_model_name_or_path = "tiny"
    adapted.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)


def generate(model, ids, mask, found):
    start = ids.shape[1]
    free = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=9, pad_token_id=0, do_sample=False,
        eos_token_id=None)[:, start:]
    stop = [int(free[0, 3]), int(free[2, 1])]
    found["stop"] = torch.tensor(stop)
    settings = {
        "greedy": dict(),
        "penalized": dict(repetition_penalty=1.3, no_repeat_ngram_size=2, min_new_tokens=4),
        "beams": dict(num_beams=3),
        "short": dict(num_beams=4, length_penalty=-1.0, early_stopping=True),
        "long": dict(num_beams=2, length_penalty=2.0, early_stopping="never"),
    }
    for name, options in settings.items():
        options = dict(max_new_tokens=9, pad_token_id=0, do_sample=False, eos_token_id=stop) | options
        if name == "penalized":  # one by one: penalties would count padding as a token of the text
            rows = [
                model.generate(input_ids=row[flags > 0][None], **options)[0, int(flags.sum()):]
                for row, flags in zip(ids, mask)
            ]
            found[f"generated.{name}"] = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            continue
        tokens = model.generate(input_ids=ids, attention_mask=mask, **options)
        found[f"generated.{name}"] = tokens[:, start:]


def classifier(folder, kind, options, found):
    config = AutoConfig.for_model(kind, **options, num_labels=3)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    scramble(model)
    model.save_pretrained(folder / "cls")
    ids, mask = found["right.ids"].clone(), found["right.mask"]
    ids[0, LENGTHS[0] - 1] = 0  # a padding token at the end of a text
    labels = torch.tensor([2, 0, 1, 2, 1])
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=mask, labels=labels)
    found["cls.ids"], found["cls.labels"] = ids, labels
    found["cls.logits"], found["cls.loss"] = out.logits, out.loss


torch.set_num_threads(1)
print("torch", torch.__version__, "transformers", transformers.__version__,
      "peft", peft.__version__)
output = pathlib.Path(__file__).parent
for index, (name, (kind, options)) in enumerate(VARIANTS.items()):
    torch.manual_seed(31 + index)
    found = {}
    language(output / name, kind, options, found)
    classifier(output / name, kind, options, found)
    found = {key: value.detach().contiguous().clone() for key, value in found.items()}
    save_file(found, output / name / "reference.safetensors")
    if name == "llama-linear":  # as older releases wrote it
        path = output / name / "tiny" / "config.json"
        fields = json.loads(path.read_text())
        scaling = fields.pop("rope_parameters")
        fields["rope_theta"] = scaling.pop("rope_theta")
        fields["rope_scaling"] = {"type": scaling["rope_type"], "factor": scaling["factor"]}
        path.write_text(json.dumps(fields))
