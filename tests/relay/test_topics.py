"""What is known of topics is shared by the sources, each of which has a thread of its own."""

import logging
import threading

from onceward_relay.kafka import Pulse
from onceward_relay.topics import Topic, Topics
from tests.servers.kafka import TestKafka


class Forgetful(Topics):
    """Topics of which another source forgets everything while the answer is on its way."""

    def _ask(self, names: list[str], pulse: Pulse) -> dict[str, Topic]:
        found = super()._ask(names, pulse)
        other = threading.Thread(target=self.forget, args=(list(self._known),))
        other.start()
        other.join()
        return found


def test_one_source_may_forget_what_another_is_asking_for(kafka: TestKafka) -> None:
    topic = kafka.create_topic()
    topics = Forgetful({"bootstrap.servers": kafka.bootstrap}, logging.getLogger("onceward.test"))
    assert topics.describe([topic], lambda: None)[topic].problem is None
