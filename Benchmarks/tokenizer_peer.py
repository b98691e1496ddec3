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

folder = pathlib.Path(sys.argv[1])
if not (folder / "tokenizer.json").exists():
    convert = pathlib.Path(__file__).parent.parent / "Tests/Fixtures/tokenizers/convert.py"
    made = pathlib.Path(tempfile.mkdtemp())
    subprocess.run([sys.executable, convert, folder, made / "tokenizer.json"], check=True)
    folder = made
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_truncation()
tokenizer.no_padding()
texts = json.loads(pathlib.Path(sys.argv[2]).read_text())
tokenizer.encode_batch(texts[:100])
begin = time.process_time()
encodings = tokenizer.encode_batch(texts)
seconds = time.process_time() - begin
ids = [i for e in encodings for i in e.ids]
print(json.dumps({"seconds": seconds, "tokens": len(ids), "sum": sum(ids)}))
