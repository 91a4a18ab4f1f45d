"""Where the topics of a source's outbox are in Kafka: under their own names, under a prefix, or where a route says.

The outbox knows its own names only, and so do holds and incidents. No two topics may go to one destination: a held key
of one would not hold back the same key of the other, and their messages would overtake each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from onceward_relay.kafka import Pulse
from onceward_relay.topics import Topic, Topics


@dataclass(frozen=True, slots=True)
class Routes:
    """The names of a source's topics in Kafka."""

    prefix: str = ""
    """Before the name of every topic without a route of its own."""
    routes: Mapping[str, str] = field(default_factory=dict)
    """Whole names in Kafka, by the topic's name in the outbox."""

    def destination(self, topic: str) -> str:
        """Return a topic's name in Kafka."""
        return self.routes.get(topic) or self.prefix + topic

    def problem(self, topic: str) -> str | None:
        """Return why nothing can be sent to a topic, whatever Kafka says."""
        destination = self.destination(topic)
        other = next((name for name, to in self.routes.items() if to == destination and name != topic), None)
        return (
            f"would go to {destination}, where the route of {other} leads; give it a route of its own"
            if other
            else None
        )


class RoutedTopics:
    """What Kafka says about a source's topics, asked and answered under their names in the outbox."""

    def __init__(self, topics: Topics, routes: Routes) -> None:
        self._topics = topics
        self._routes = routes
        self.destination = routes.destination

    def describe(self, names: Iterable[str], pulse: Pulse) -> dict[str, Topic]:
        """Return the facts about `names`, waiting for Kafka as long as `pulse` lets it."""
        problems = {name: self._routes.problem(name) for name in names}
        to = {name: self.destination(name) for name, problem in problems.items() if problem is None}
        facts = self._topics.describe(to.values(), pulse)
        found = {name: self._told(name, facts[destination]) for name, destination in to.items()}
        return found | {name: Topic(problem=problem) for name, problem in problems.items() if problem is not None}

    def forget(self, names: Iterable[str]) -> None:
        """Ask Kafka again at the next need."""
        self._topics.forget(map(self.destination, names))

    def good(self, names: Iterable[str], pulse: Pulse) -> set[str]:
        """Return those of `names` that Kafka takes now, without waiting for those that it may come to take."""
        to = {name: self.destination(name) for name in names if self._routes.problem(name) is None}
        good = self._topics.good(to.values(), pulse) if to else set()
        return {name for name, destination in to.items() if destination in good}

    def told(self, name: str, problem: str) -> str:
        """Return what is wrong with a topic, with its name in Kafka where that is another one."""
        destination = self.destination(name)
        return problem if destination == name else f"goes to {destination}, which {problem}"

    def _told(self, name: str, facts: Topic) -> Topic:
        return facts if facts.problem is None else replace(facts, problem=self.told(name, facts.problem))
