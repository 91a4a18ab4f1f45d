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


def test_records_of_a_transaction_are_read_once_it_has_committed(kafka: TestKafka) -> None:
    topic = kafka.create_topic(partitions=1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic})
    producer.init_transactions(10)
    for value, end in [(b"kept", producer.commit_transaction), (b"taken back", producer.abort_transaction)]:
        producer.begin_transaction()
        producer.produce(topic, value=value)
        producer.flush(10)
        end(10)
    assert [record.value() for record in kafka.records(topic)] == [b"kept"]
