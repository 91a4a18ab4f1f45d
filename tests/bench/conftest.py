"""Each scenario runs many processes one after the other, which takes long where others work too."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "bench":
            item.add_marker(pytest.mark.timeout(600))
