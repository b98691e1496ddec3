"""Answers requests with the Python library `tokenizers`, for tests that compare Apus with it.

usage: oracle.py TOKENIZER_JSON REQUESTS ANSWERS [whole]

With "whole", the truncation and padding of the file are left out.
REQUESTS and ANSWERS are JSON lines, one answer for each request:
  {"encode": text, "pair": text or absent, "special": bool}  -> encoding, or {"error": message}
  {"batch": [text, ...], "special": bool}                    -> [encoding, ...]
  {"decode": [id, ...], "skip": bool}                        -> text
  {"normalize": text}                                        -> text
  {"pieces": text}                                           -> [[piece, start, end], ...]

Tested with tokenizers 0.23.3.
"""
import json
import sys

from tokenizers import Tokenizer


def plain(encoding):
    return {
        "ids": encoding.ids,
        "type_ids": encoding.type_ids,
        "tokens": encoding.tokens,
        "offsets": [list(offset) for offset in encoding.offsets],
        "attention_mask": encoding.attention_mask,
        "special_tokens_mask": encoding.special_tokens_mask,
    }


def answer(tokenizer, request):
    special = request.get("special", True)
    if "encode" in request:
        try:
            return plain(
                tokenizer.encode(request["encode"], request.get("pair"), add_special_tokens=special)
            )
        except BaseException as error:  # a panic in Rust is no Exception
            return {"error": str(error)}
    if "batch" in request:
        encodings = tokenizer.encode_batch(request["batch"], add_special_tokens=special)
        return [plain(encoding) for encoding in encodings]
    if "decode" in request:
        return tokenizer.decode(request["decode"], skip_special_tokens=request["skip"])
    if "normalize" in request:
        return tokenizer.normalizer.normalize_str(request["normalize"])
    if "pieces" in request:
        return [
            [piece, start, end]
            for piece, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(request["pieces"])
        ]
    raise ValueError(f"unknown request {request}")


def main(tokenizer_path, requests_path, answers_path, extent=None):
    tokenizer = Tokenizer.from_file(tokenizer_path)
    if extent == "whole":
        tokenizer.no_truncation()
        tokenizer.no_padding()
    with open(requests_path, encoding="utf-8") as requests, open(answers_path, "w") as answers:
        for line in requests:
            json.dump(answer(tokenizer, json.loads(line)), answers)
            answers.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
