"""The fixture `kafka` reads back what was written."""

from confluent_kafka import Producer

from .kafka import TestKafka


def test_records_are_read_to_the_end(kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for number in range(100):
        producer.produce(topic, key=str(number), value=b"x")
    producer.flush()
    assert sorted(int(record.key() or b"") for record in kafka.records(topic)) == list(range(100))
    assert kafka.records(kafka.create_topic()) == []
