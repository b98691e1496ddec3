"""Makes the stored references of the first DeBERTa: tiny random checkpoints, adapters, what they give.

Run from the package root: .venv-oracle/bin/python Tests/Fixtures/deberta/make_deberta.py
"""

import pathlib
import sys

import torch
from transformers import DebertaConfig, DebertaForSequenceClassification

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import encoders  # noqa: E402

VARIANTS = {
    # As microsoft/deberta-base.
    "base": dict(
        relative_attention=True, pos_att_type="c2p|p2c", position_biased_input=False,
        type_vocab_size=0,
    ),
    # Distances that end before the texts do, positions, segments, short embeddings, one term.
    "short": dict(
        relative_attention=True, max_relative_positions=5, pos_att_type=["c2p"],
        position_biased_input=True, type_vocab_size=2, embedding_size=16,
    ),
}

for seed, (name, options) in enumerate(VARIANTS.items()):
    torch.manual_seed(41 + seed)
    model = DebertaForSequenceClassification(DebertaConfig(**encoders.SIZES, **options))
    (HERE / name).mkdir(exist_ok=True)
    encoders.make(HERE / name, model, ["in_proj"], types=options["type_vocab_size"])
