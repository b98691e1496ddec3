"""A client that speaks Flower's Runtime API by itself and does what no proper client would.

    raw_client.py PORT

It sends back the arrays that came. In round 1 it announces and pushes its reply twice; in round 2 it
pushes other bytes than it announced.
"""

import hashlib
import json
import sys
import time
import urllib.error
import urllib.request

from flwr.proto import message_pb2, recorddict_pb2, runtime_pb2

SEEN = 0.2  # seconds between two questions for work


def call(path, request, answer, token=None):
    """One call; None and a line of log if it is refused."""
    headers = {"content-type": "application/protobuf"}
    if token:
        headers["flwr-task-token"] = token
    try:
        with urllib.request.urlopen(urllib.request.Request(
                f"http://127.0.0.1:{sys.argv[1]}/v1/runtime/{path}", request.SerializeToString(),
                headers), timeout=60) as response:
            return answer.FromString(response.read())
    except urllib.error.HTTPError as error:
        print(f"{path}: HTTP {error.code}", flush=True)
        return None


def packed(kind, children, body):
    """An object of Flower's store: its id and its bytes."""
    content = f"{kind} {','.join(children)} {len(body)}".encode() + b"\0" + body
    return hashlib.sha256(content).hexdigest(), content


def tree(identity, children=()):
    """How objects hang together."""
    return message_pb2.ObjectTree(object_id=identity, children=children)


def pull(identity, token, context):
    """An object, once it is there."""
    request = message_pb2.PullObjectRequest(run_id=context.run_id, object_id=identity)
    request.node.node_id = context.node_id
    while True:
        answer = call("pull-object", request, message_pb2.PullObjectResponse, token)
        if answer.object_available:
            return answer.object_content
        time.sleep(SEEN)


def serve(token):
    """One task."""
    task = call("pull-task-input", runtime_pb2.PullTaskInputRequest(),
                runtime_pb2.PullTaskInputResponse, token)
    found = call("pull-messages", runtime_pb2.PullAppMessagesRequest(),
                 runtime_pb2.PullAppMessagesResponse, token)
    context, asked = task.context, found.messages_list[0].metadata
    number = int(asked.group_id)
    records = found.message_object_trees[0].children[0]
    names = json.loads(pull(records.object_id, token, context).partition(b"\0")[2])
    arrays = next(child for child in records.children if child.object_id == names["arrays"])

    metric = recorddict_pb2.MetricRecord()
    metric.items.add(key="num-examples").value.sint64 = 10
    metrics, metrics_bytes = packed("MetricRecord", [], metric.SerializeToString())
    body = json.dumps({"arrays": arrays.object_id, "metrics": metrics}).encode()
    content, content_bytes = packed("RecordDict", [arrays.object_id, metrics], body)
    reply = message_pb2.Message()
    reply.metadata.CopyFrom(asked)
    reply.metadata.message_id = ""
    reply.metadata.reply_to_message_id = asked.message_id
    reply.metadata.src_node_id, reply.metadata.dst_node_id = asked.dst_node_id, asked.src_node_id
    reply.metadata.created_at = time.time()
    reply.metadata.ttl = asked.created_at + asked.ttl - reply.metadata.created_at
    reply.metadata.ClearField("src_task_id")
    reply.metadata.ClearField("dst_task_id")
    if asked.HasField("dst_task_id"):
        reply.metadata.src_task_id = asked.dst_task_id
    if asked.HasField("src_task_id"):
        reply.metadata.dst_task_id = asked.src_task_id
    whole, whole_bytes = packed("Message", [content], reply.SerializeToString())
    reply.metadata.message_id = whole
    reply.content.SetInParent()
    objects = {metrics: metrics_bytes, content: content_bytes, whole: whole_bytes}

    def gather(node):
        for child in node.children:
            gather(child)
        objects[node.object_id] = pull(node.object_id, token, context)

    gather(arrays)
    request = runtime_pb2.PushAppMessagesRequest(
        messages_list=[reply],
        message_object_trees=[tree(whole, [tree(content, [arrays, tree(metrics)])])])
    for attempt in range(2 if number == 1 else 1):
        answer = call("push-messages", request, runtime_pb2.PushAppMessagesResponse, token)
        if answer is None:
            continue
        if attempt:
            print(f"round {number}: pushed again, {len(answer.objects_to_push)} objects wanted", flush=True)
        for identity in answer.objects_to_push:
            data = objects[identity]
            if number == 2 and identity == metrics:
                data = data[:-1] + bytes([data[-1] ^ 1])
            push = message_pb2.PushObjectRequest(
                run_id=context.run_id, object_id=identity, object_content=data,
                session_id=answer.session_id)
            push.node.node_id = context.node_id
            stored = call("push-object", push, message_pb2.PushObjectResponse, token)
            if number == 2 and identity == metrics:
                print(f"round {number}: damaged bytes stored: {stored and stored.stored}", flush=True)
    output = runtime_pb2.PushTaskOutputRequest(context=context, sub_status="completed")
    call("push-task-output", output, runtime_pb2.PushTaskOutputResponse, token)


def main():
    """Takes one task after the other, until it is ended."""
    request = runtime_pb2.AcquireTaskRequest(supported_task_types=["flwr-clientapp"])
    while True:
        answer = call("acquire-task", request, runtime_pb2.AcquireTaskResponse)
        if answer and answer.token:
            serve(answer.token)
        time.sleep(SEEN)


if __name__ == "__main__":
    main()
