"""Tokenizes texts with the Python library on one core: processor seconds, number of tokens, sum of ids.

tokenizer_peer.py FOLDER TEXTS: a checkpoint folder, and a JSON file with a list of texts. A folder
without tokenizer.json is converted as in the tests of the tokenizers.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402


def load(folder):
    """The tokenizer of a checkpoint folder."""
    if (folder / "tokenizer.json").exists():
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    convert = pathlib.Path(__file__).parent.parent / "Tests/Fixtures/tokenizers/convert.py"
    with tempfile.TemporaryDirectory() as made:
        file = pathlib.Path(made) / "tokenizer.json"
        subprocess.run([sys.executable, convert, folder, file], check=True)
        return Tokenizer.from_file(str(file))


tokenizer = load(pathlib.Path(sys.argv[1]))
tokenizer.no_truncation()
tokenizer.no_padding()
texts = json.loads(pathlib.Path(sys.argv[2]).read_text())
# Apus keeps its tokenizer from turn to turn, with the words that it has seen: so does this one.
tokenizer.encode_batch(texts)
begin = time.process_time()
encodings = tokenizer.encode_batch(texts)
seconds = time.process_time() - begin
ids = [i for e in encodings for i in e.ids]
print(json.dumps({"seconds": seconds, "tokens": len(ids), "sum": sum(ids)}))
