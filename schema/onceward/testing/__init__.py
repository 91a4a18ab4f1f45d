"""For the tests of teams: flows run against scripted providers and a real PostgreSQL, crashed wherever they can crash.

```python
def test_it_pays_once_wherever_it_crashes(bench: Bench) -> None:
    bench.answer(charge, lost_reply(), Charged(reference="c-1"))
    assert bench.run(payment, EVENT, crash_everywhere=True).state == "completed"
    assert bench.effects(charge) == 1
```
"""

from onceward.testing.bench import Bench, Run
from onceward.testing.conformance import Finding, contradictions, examine
from onceward.testing.script import Lost, lost_reply, lost_request

__all__ = ["Bench", "Finding", "Lost", "Run", "contradictions", "examine", "lost_reply", "lost_request"]
