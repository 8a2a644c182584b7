"""The loop of `analyze` in Python, as the existing services have it: consume, decode, encode, produce, in transactions.

Arguments: brokers, registry, topic to read, topic to write, group, messages to a transaction, messages in all.
Writes {"seconds": …}: from the first message to the last commit.
"""

import json
import struct
import sys
import time

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

SENTIMENT = json.dumps(
    {
        "type": "record",
        "namespace": "heartbeat",
        "name": "sentiment",
        "fields": [
            {"name": "time", "type": {"type": "int", "logicalType": "timestamp-millis"}},
            {"name": "task", "type": "string"},
            {"name": "pos", "type": "float"},
            {"name": "neu", "type": "float"},
            {"name": "neg", "type": "float"},
        ],
    }
)


def main():
    brokers, registry, source, target, group, size, count = sys.argv[1:]
    size, count = int(size), int(count)
    registry = SchemaRegistryClient({"url": registry, "timeout": 10})
    decode = AvroDeserializer(registry)
    encode = AvroSerializer(registry, SENTIMENT)
    read = SerializationContext(source, MessageField.VALUE)
    written = SerializationContext(target, MessageField.VALUE)
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    producer = Producer({"bootstrap.servers": brokers, "transactional.id": group, "linger.ms": 1})
    producer.init_transactions()
    consumer.subscribe([source])
    started, done = None, 0
    while done < count:
        messages = consumer.consume(size, timeout=1.0 if started is None else 0.5)
        if not messages:
            continue
        if started is None:
            started = time.perf_counter()
        producer.begin_transaction()
        for message in messages:
            tweet = decode(message.value(), read)
            (identity,) = struct.unpack(">q", message.key())
            sentiment = {"time": tweet["time"], "task": tweet["task"], "pos": 0.0, "neu": 1.0, "neg": 0.0}
            while True:
                try:
                    producer.produce(target, encode(sentiment, written), struct.pack(">q", identity))
                    break
                except BufferError:
                    producer.poll(0.01)
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
        )
        producer.commit_transaction()
        done += len(messages)
    print(json.dumps({"seconds": time.perf_counter() - started}))
    consumer.close()


main()
