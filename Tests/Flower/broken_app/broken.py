"""Clients whose updates are wrong, each round in another way; client 0 sends back what it got."""

import numpy
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

none = None
app = ClientApp()


@app.train()
def train(message, context):
    """NaN in round 1, another shape in round 2, no number of examples in round 3."""
    round_number = message.content["config"]["server-round"]
    values = {name: array.numpy() for name, array in message.content["arrays"].items()}
    metrics = {"num-examples": 10}
    if context.node_config["partition-id"] == 1:
        name = next(iter(values))
        if round_number == 1:
            values[name] = values[name] * numpy.float32("nan")
        elif round_number == 2:
            values[name] = values[name][:1]
        else:
            metrics = {"examples": 10}
    arrays = ArrayRecord({name: Array(value) for name, value in values.items()})
    content = RecordDict({"arrays": arrays, "metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=message)
