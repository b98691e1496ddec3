"""A Flower client that trains a LoRA adapter with Hugging Face PEFT.

The arrays that come and go have the names and shapes of `get_peft_model_state_dict`, so the server
does not know whether a client is this one or Apus's own.
"""

import json
from functools import cache

import torch
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import AutoModelForSequenceClassification, AutoTokenizer

app = ClientApp()


@cache
def load(checkpoint, labels, rank, alpha):
    """The frozen model with a fresh adapter, and its tokenizer."""
    base = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=labels)
    config = LoraConfig(
        task_type="SEQ_CLS", r=rank, lora_alpha=alpha, target_modules=["query", "value"],
        modules_to_save=["classifier"])
    return get_peft_model(base, config), AutoTokenizer.from_pretrained(checkpoint)


def own_rows(path, place, count):
    """Every count-th row of the file: this client's share of it."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file][place::count]


def batches(rows, tokenizer, size):
    """Token ids, masks and labels, a batch at a time."""
    for start in range(0, len(rows), size):
        part = rows[start:start + size]
        tokens = tokenizer(
            [row["text"] for row in part], padding=True, truncation=True, max_length=48,
            return_tensors="pt")
        yield tokens, torch.tensor([row["label"] for row in part])


def prepare(message: Message, context: Context):
    """The model with the server's values in it, and this client's rows."""
    config = context.run_config
    model, tokenizer = load(
        config["checkpoint"], config["labels"], config["rank"], config["alpha"])
    values = message.content["arrays"].to_torch_state_dict()
    set_peft_model_state_dict(model, values)
    node = context.node_config
    return model, tokenizer, own_rows(config["rows"], node["partition-id"], node["num-partitions"])


@app.train()
def train(message: Message, context: Context) -> Message:
    """One local phase; answers with the trained values and the number of rows."""
    model, tokenizer, rows = prepare(message, context)
    config = context.run_config
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=config["learning-rate"])
    model.train()
    losses = []
    for _ in range(config["local-epochs"]):
        for tokens, labels in batches(rows, tokenizer, config["batch-size"]):
            loss = model(**tokens, labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    values = {
        name: Array(tensor.detach().cpu().numpy())
        for name, tensor in get_peft_model_state_dict(model).items()
    }
    metrics = {"num-examples": len(rows), "train_loss": sum(losses) / len(losses)}
    content = RecordDict({"arrays": ArrayRecord(values), "metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Loss and accuracy of the server's values on this client's rows."""
    model, tokenizer, rows = prepare(message, context)
    model.eval()
    loss, correct = 0.0, 0
    with torch.no_grad():
        for tokens, labels in batches(rows, tokenizer, 32):
            output = model(**tokens, labels=labels)
            loss += output.loss.item() * len(labels)
            correct += (output.logits.argmax(1) == labels).sum().item()
    metrics = {"num-examples": len(rows), "loss": loss / len(rows), "accuracy": correct / len(rows)}
    content = RecordDict({"metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=message)
