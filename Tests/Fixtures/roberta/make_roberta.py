"""Makes the stored reference of RoBERTa: a tiny random checkpoint, an adapter, what they give.

Run from the package root: .venv-oracle/bin/python Tests/Fixtures/roberta/make_roberta.py
"""

import pathlib
import sys

import torch
from transformers import (
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaForSequenceClassification,
)

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import encoders  # noqa: E402

torch.manual_seed(22)
config = RobertaConfig(**encoders.SIZES, type_vocab_size=1, pad_token_id=1)
model = RobertaForSequenceClassification(config)
batch, logits = encoders.make(HERE, model, ["query", "value"], types=1)
# XLM-RoBERTa is the same model under another name.
other = XLMRobertaForSequenceClassification.from_pretrained(HERE / "tiny").eval()
with torch.no_grad():
    assert (other(**batch).logits - logits).abs().max() < 1e-6
