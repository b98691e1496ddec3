"""Makes the stored reference of the encoder–decoders: tiny random checkpoints, and what they give.

Run from the package root:
  .venv-oracle/bin/python Tests/Fixtures/encoder_decoders/make_encoder_decoders.py
A folder for each variant gets `tiny`, `adapter` (LoRA) and reference.safetensors; with names of
variants behind the command only those are made.
Made with torch 2.13.0, transformers 5.23.0, peft 0.21.2 (printed below on every run).
"""

import json
import pathlib
import sys

import peft
import torch
import transformers
from peft import LoraConfig, TaskType, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM

HERE = pathlib.Path(__file__).parent
SOURCES, TARGETS = [9, 3, 17, 1, 12], [5, 2, 7, 1, 6]
BART = dict(
    vocab_size=48, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
    decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=20, max_position_embeddings=24,
    pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=None,
    attention_dropout=0.1,
)
T5 = dict(
    vocab_size=48, d_model=16, d_kv=6, d_ff=24, num_layers=3, num_decoder_layers=2, num_heads=3,
    relative_attention_num_buckets=8, relative_attention_max_distance=12, pad_token_id=0,
    eos_token_id=1, decoder_start_token_id=0,
)
LONG = T5 | dict(local_radius=3, global_block_size=4)
VARIANTS = {
    "bart": ("bart", BART | dict(scale_embedding=True)),
    "mbart": ("mbart", BART | dict(activation_function="relu")),
    "t5": ("t5", T5),
    "t5-gated": ("t5", T5 | dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
    "mt5": ("mt5", T5 | dict(feed_forward_proj="gated-gelu")),
    "longt5-local": ("longt5", LONG | dict(encoder_attention_type="local")),
    "longt5-global": ("longt5", LONG | dict(
        encoder_attention_type="transient-global", feed_forward_proj="gated-silu",
        tie_word_embeddings=False)),
    "led": ("led", BART | dict(
        attention_window=[4, 8], max_encoder_position_embeddings=24,
        max_decoder_position_embeddings=16)),
}
# As PEFT chooses them where it does; where not, as for the architecture that is most like it.
LORA = {"t5": ["q", "v"], "led": ["q_proj", "v_proj", "query", "value"]}


def targets(name):
    return LORA["led"] if name == "led" else LORA["t5"] if "t5" in name else ["q_proj", "v_proj"]


def scramble(model):
    """Weights as drawn are so small that attention is uniform; trained ones are not."""
    for name, parameter in model.named_parameters():
        if "relative_attention_bias" in name:
            parameter.data.normal_(0, 1)
        elif parameter.dim() > 1:
            parameter.data.normal_(0, 0.25)
        elif "norm" in name and name.endswith("weight"):
            parameter.data.normal_(1, 0.1)
        else:
            parameter.data.normal_(0, 0.1)
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias.normal_(0, 0.3)


def padded(rows, value):
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


def make(name, kind, options):
    torch.manual_seed(len(name) + 7)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    model = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(kind, **options)).eval()
    if name == "t5-gated":  # released checkpoints of this kind have an output layer of their own
        model.lm_head.weight = torch.nn.Parameter(torch.empty(48, 16))
        model.config.tie_word_embeddings = False
    scramble(model)
    model.save_pretrained(folder / "tiny")
    config = json.loads((folder / "tiny/config.json").read_text())
    if name == "t5-gated":  # as its authors wrote it
        config["tie_word_embeddings"] = False
        del config["scale_decoder_outputs"]
        (folder / "tiny/config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (folder / "tiny/generation_config.json").unlink(missing_ok=True)

    eos, pad = options["eos_token_id"], options["pad_token_id"]
    sources = [torch.randint(3, 48, (n,)) for n in SOURCES]
    wanted = [torch.cat([torch.randint(3, 48, (n - 1,)), torch.tensor([eos])]) for n in TARGETS]
    ids, labels = padded(sources, pad), padded(wanted, -100)
    mask = padded([torch.ones_like(s) for s in sources], 0)
    batch = dict(input_ids=ids, attention_mask=mask)
    flat = lambda logits: torch.cat([logits[i, :n] for i, n in enumerate(TARGETS)])
    found = {
        "sources": torch.cat(sources), "source_lengths": torch.tensor(SOURCES),
        "targets": torch.cat(wanted), "target_lengths": torch.tensor(TARGETS),
    }
    with torch.no_grad():
        out = model(**batch, labels=labels)
        found["logits"], found["loss"] = flat(out.logits), out.loss
        found["smoothed"] = torch.nn.functional.cross_entropy(
            found["logits"], found["targets"], label_smoothing=0.1)
        if name == "led":
            globals = torch.zeros_like(mask)
            globals[:, :2] = 1
            out = model(**batch, labels=labels, global_attention_mask=globals * mask)
            found["global.logits"], found["global.loss"] = flat(out.logits), out.loss
    generate(model, batch, pad, found)

    adapted = get_peft_model(model, LoraConfig(
        task_type=TaskType.SEQ_2_SEQ_LM, r=4, lora_alpha=6, target_modules=targets(name))).eval()
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    out = adapted(**batch, labels=labels)
    out.loss.backward()
    found["adapter.logits"], found["adapter.loss"] = flat(out.logits), out.loss
    for key, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            found[f"gradient/{key.replace('.default', '')}"] = parameter.grad
    adapted.peft_config["default"].base_model_name_or_path = "tiny"
    adapted.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    found = {key: value.detach().contiguous().clone() for key, value in found.items()}
    save_file(found, folder / "reference.safetensors")


def generate(model, batch, pad, found):
    common = dict(max_new_tokens=9, pad_token_id=pad, do_sample=False)
    free = model.generate(**batch, **common, eos_token_id=None)[:, 1:]
    stop = [int(free[0, 3]), int(free[2, 1])]
    found["stop"] = torch.tensor(stop)
    settings = {
        "greedy": dict(),
        "penalized": dict(repetition_penalty=1.3, no_repeat_ngram_size=2, min_new_tokens=4),
        "forced": dict(forced_bos_token_id=5, forced_eos_token_id=stop[0]),
        "beams": dict(num_beams=3),
        "short": dict(num_beams=4, length_penalty=-1.0, early_stopping=True),
        "long": dict(num_beams=2, length_penalty=2.0, early_stopping="never"),
        "forced-beams": dict(num_beams=3, forced_bos_token_id=5, forced_eos_token_id=stop[0]),
    }
    for name, options in settings.items():
        found[f"generated.{name}"] = model.generate(
            **batch, **(common | dict(eos_token_id=stop) | options))[:, 1:]


print("torch", torch.__version__, "transformers", transformers.__version__, "peft", peft.__version__)
for name, (kind, options) in VARIANTS.items():
    if not sys.argv[1:] or name in sys.argv[1:]:
        make(name, kind, options)
