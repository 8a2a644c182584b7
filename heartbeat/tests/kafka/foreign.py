"""Another program on the same topics: Confluent's Python client, its Avro serializers and its registry client.

Reads JSON, one object a line, on the standard input where it needs any, and writes what it did likewise."""

import json
import os
import struct
import sys

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

BROKERS = {"bootstrap.servers": os.environ["BROKERS"]}
LARGEST = 16 << 20


def lines():
    return [json.loads(line) for line in sys.stdin]


def tell(**what):
    print(json.dumps(what))


def registry():
    # Without a timeout, an answer that is lost is waited for without end. It asks again by itself.
    return SchemaRegistryClient({"url": os.environ["REGISTRY"], "timeout": 10})


def publish(topic, messages):
    """Publishes key and value of each, and tells where they lie."""
    producer = Producer({**BROKERS, "message.max.bytes": LARGEST, "linger.ms": 5})
    failed = []

    def delivered(error, message):
        if error is not None:
            failed.append(error)
        else:
            tell(partition=message.partition(), offset=message.offset())

    for key, value in messages:
        producer.produce(topic, key=key, value=value, on_delivery=delivered)
        # One at a time, so that they are told in order.
        producer.flush(30)
    if failed:
        sys.exit(f"not delivered: {failed}")


def configure(topic, setting):
    """Changes a topic's setting, as in `name=value`."""
    name, value = setting.split("=")
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient(BROKERS)
    for changed in admin.incremental_alter_configs([resource]).values():
        changed.result(30)


def register(topic, schema):
    """Registers a schema for a topic's values, and tells its id."""
    tell(id=registry().register_schema(f"{topic}-value", Schema(schema, "AVRO")))


def produce(topic):
    """Publishes the bytes of `key` and `value`, in hexadecimal or null."""
    raw = lambda text: None if text is None else bytes.fromhex(text)
    publish(topic, [(raw(line["key"]), raw(line["value"])) for line in lines()])


def write(topic, schema):
    """Publishes records; a key is a number of `width` bytes."""
    serialize = AvroSerializer(registry(), schema)
    context = SerializationContext(topic, MessageField.VALUE)
    widths = {4: ">i", 8: ">q"}
    publish(
        topic,
        [(struct.pack(widths[line["width"]], line["key"]), serialize(line["value"], context)) for line in lines()],
    )


def read(topic, schema, count):
    """Tells the first `count` messages of a topic: key in hexadecimal and record."""
    deserialize = AvroDeserializer(registry(), schema)
    context = SerializationContext(topic, MessageField.VALUE)
    consumer = Consumer({**BROKERS, "group.id": f"{topic}-python", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    for _ in range(int(count)):
        message = consumer.poll(30)
        if message is None or message.error():
            sys.exit(f"no message: {message and message.error()}")
        tell(key=message.key().hex(), value=deserialize(message.value(), context))
    consumer.close()


if __name__ == "__main__":
    COMMANDS = {"configure": configure, "register": register, "produce": produce, "write": write, "read": read}
    COMMANDS[sys.argv[1]](*sys.argv[2:])
