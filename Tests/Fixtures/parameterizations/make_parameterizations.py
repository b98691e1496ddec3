"""Makes DoRA, AdaLoRA and VeRA folders as Python PEFT writes them, on the tiny checkpoint of ../bert,
and the course of an AdaLoRA training.

Run from the package root, after make_bert.py:
.venv-oracle/bin/python Tests/Fixtures/parameterizations/make_parameterizations.py
Made with torch 2.13.0, transformers 5.23.0, peft 0.21.2 (printed below on every run).
"""

import pathlib
import shutil

import peft
import torch
import transformers
from peft import AdaLoraConfig, LoraConfig, VeraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import BertForSequenceClassification

HERE = pathlib.Path(__file__).parent
BERT = HERE.parent / "bert"

CASES = {
    "dora": LoraConfig(
        r=3, lora_alpha=6, use_dora=True, target_modules=["query", "dense"],
        exclude_modules=["pooler.dense"], bias="lora_only", rank_pattern={"query": 2}),
    "dora-rs": LoraConfig(
        r=4, lora_alpha=5, use_dora=True, use_rslora=True, target_modules=["value"]),
    "adalora": AdaLoraConfig(
        init_r=4, target_r=2, lora_alpha=7, total_step=50, tinit=5, tfinal=10, deltaT=2,
        target_modules=["query", "value"]),
    "adalora-pruned": AdaLoraConfig(
        init_r=4, target_r=2, lora_alpha=7, total_step=50, tinit=5, tfinal=10,
        target_modules=["query", "value"]),
    "vera": VeraConfig(
        r=5, target_modules=["query", "intermediate.dense"], d_initial=0.2,
        projection_prng_key=3, bias="vera_only"),
    "vera-bare": VeraConfig(r=6, target_modules=["output.dense"], save_projection=False),
}

# Which triplets the pruned adapter keeps, projection by projection.
KEPT = [[True, False, True, True], [False] * 4, [False, True, False, False], [True] * 4]


def batch(reference):
    lengths = reference["lengths"].tolist()
    pad = torch.nn.utils.rnn.pad_sequence
    return dict(
        input_ids=pad(reference["ids"].split(lengths), batch_first=True),
        token_type_ids=pad(reference["types"].split(lengths), batch_first=True),
        attention_mask=pad([torch.ones(n) for n in lengths], batch_first=True).long())


def fresh(config):
    config.task_type = "SEQ_CLS"
    model = get_peft_model(BertForSequenceClassification.from_pretrained(BERT / "tiny"), config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.peft_config["default"].base_model_name_or_path = "tiny"
    return model.eval()


def plain(name):
    return name.replace(".default", "").replace("modules_to_save.", "")


def folders(reference, inputs):
    found = {}
    for name, config in CASES.items():
        model = fresh(config)
        if name == "adalora-pruned":
            pattern, weights = {}, dict(model.named_parameters())
            names = [n for n in weights if "lora_E" in n]
            for lora_e, kept in zip(names, KEPT):
                weights[lora_e].data[~torch.tensor(kept)] = 0
                pattern[lora_e.removeprefix("base_model.model.")] = kept
            config.rank_pattern = pattern
        output = model(**inputs, labels=reference["labels"])
        found[f"{name}/logits"] = output.logits.detach()
        if name in ("dora", "vera"):
            loss = torch.nn.functional.cross_entropy(output.logits, reference["labels"])
            for key, parameter in model.named_parameters():
                if parameter.requires_grad:
                    found[f"{name}/gradient/{plain(key)}"] = torch.autograd.grad(
                        loss, parameter, retain_graph=True)[0]
        model.save_pretrained(HERE / name)
        (HERE / name / "README.md").unlink(missing_ok=True)
    return found


def projections():
    """The matrices of PEFT's standard seed."""
    from peft.tuners.vera.model import _kaiming_init

    generator = torch.Generator(device="cpu").manual_seed(0)
    return {
        "projection/A": _kaiming_init((7, 20), generator),
        "projection/B": _kaiming_init((30, 7), generator)}


def course(reference, inputs):
    """Plain gradient descent; E of every projection after every step."""
    steps = 14
    config = AdaLoraConfig(
        init_r=4, target_r=2, lora_alpha=8, total_step=steps, tinit=2, tfinal=4, deltaT=3,
        orth_reg_weight=0.3, target_modules=["query", "value"])
    model = fresh(config)
    found = {
        f"start/{plain(key)}": parameter.detach().clone()
        for key, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for step in range(1, steps + 1):
        loss = model(**inputs, labels=reference["labels"]).loss
        loss.backward()
        optimizer.step()
        model.base_model.update_and_allocate(step)
        optimizer.zero_grad()
        for key, parameter in model.named_parameters():
            if "lora_E" in key:
                found[f"step{step}/{plain(key)}"] = parameter.detach().clone()
    return found


def main():
    print("torch", torch.__version__, "transformers", transformers.__version__,
          "peft", peft.__version__)
    torch.manual_seed(31)
    for name in CASES:
        shutil.rmtree(HERE / name, ignore_errors=True)
    reference = load_file(BERT / "reference.safetensors")
    inputs = batch(reference)
    outputs = folders(reference, inputs) | projections()
    save_file(outputs, HERE / "outputs.safetensors")
    save_file(course(reference, inputs), HERE / "course.safetensors")


if __name__ == "__main__":
    main()
