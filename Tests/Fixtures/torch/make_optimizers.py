"""Writes optimizers.safetensors: parameters moved by PyTorch's and transformers' optimizers.

Every case starts from the same three parameters and gets the same gradients for 20 steps;
parameter 1 has none at every fourth step. The learning rate of step t is rate * (1 - t / 40).

Needs torch 2.13.0, transformers 5.23.0, safetensors 0.8.0. Run: python make_optimizers.py
"""

import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers.optimization import Adafactor

STEPS = 20
SHAPES = [(8, 5), (7,), (2, 3, 4)]
CASES = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd.momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05),
    "sgd.nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adam.decay": lambda p: torch.optim.Adam(
        p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01),
    "adamw.decay": lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.9, 0.98), weight_decay=0.3),
    "adafactor": lambda p: Adafactor(p),
    "adafactor.warmup": lambda p: Adafactor(p, warmup_init=True, beta1=0.9),
    "adafactor.given": lambda p: Adafactor(
        p, lr=0.01, relative_step=False, scale_parameter=False, weight_decay=0.1, beta1=0.8,
        decay_rate=-0.7, clip_threshold=0.5),
    "adafactor.scaled": lambda p: Adafactor(p, lr=0.01, relative_step=False),
}

warnings.simplefilter("ignore")
generator = torch.Generator().manual_seed(7)
initial = [torch.randn(shape, generator=generator) for shape in SHAPES]
gradients = [torch.randn((STEPS, *shape), generator=generator) for shape in SHAPES]
# Some far smaller than others, so that ε and the clipping matter.
gradients[1] *= 1e-4
gradients[2] *= torch.logspace(-6, 1, STEPS)[:, None, None, None]

tensors = {}
for i in range(len(SHAPES)):
    tensors[f"initial.{i}"] = initial[i]
    tensors[f"gradients.{i}"] = gradients[i]
for name, make in CASES.items():
    parameters = [torch.nn.Parameter(p.clone()) for p in initial]
    optimizer = make(parameters)
    rate = optimizer.param_groups[0]["lr"]
    for step in range(STEPS):
        for i, parameter in enumerate(parameters):
            absent = i == 1 and step % 4 == 3
            parameter.grad = None if absent else gradients[i][step].clone()
        if rate is not None:
            optimizer.param_groups[0]["lr"] = rate * (1 - step / 40)
        optimizer.step()
    for i, parameter in enumerate(parameters):
        tensors[f"{name}/{i}"] = parameter.detach()
        for key, value in optimizer.state[parameter].items():
            if key in ("step", "RMS") or value is None:
                continue
            tensors[f"{name}/{i}.{key}"] = value

save_file(
    {name: t.contiguous().clone() for name, t in tensors.items()},
    Path(__file__).with_name("optimizers.safetensors"))
