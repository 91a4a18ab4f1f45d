"""A client that sends again by itself is refused when it is made, before it could send anything."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from onceward.errors import ConfigError
from onceward.http import Client
from onceward.ledger import Unsettled
from onceward.providers import Never, Provider, Sending
from tests.ledger.bank import Paid, Pay
from tests.ledger.conftest import Books, Make


class Wrapper:
    """A team's own client around a library's."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner


def mounted(adapter: HTTPAdapter) -> requests.Session:
    session = requests.Session()
    session.mount("https://", adapter)
    return session


class RetryTransport(httpx.BaseTransport):
    """As packages that add retries to httpx have it."""

    def __init__(self, total: int) -> None:
        self.retry = SimpleNamespace(total=total)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: httpx.Client(transport=httpx.HTTPTransport(retries=2)), "give its transport retries=0"),
        (lambda: httpx.Client(mounts={"https://": httpx.HTTPTransport(retries=1)}), "give its transport retries=0"),
        (lambda: httpx.Client(follow_redirects=True), "give httpx.Client follow_redirects=False"),
        (lambda: httpx.Client(transport=RetryTransport(3)), "transport that retries"),
        (lambda: mounted(HTTPAdapter(max_retries=3)), "HTTPAdapter(max_retries=0)"),
        (lambda: mounted(HTTPAdapter(max_retries=urllib3.Retry(connect=2))), "HTTPAdapter(max_retries=0)"),
        (urllib3.PoolManager, "give it retries=False"),
        (lambda: urllib3.HTTPSConnectionPool("bank.example"), "give it retries=False"),
        (lambda: Wrapper(urllib3.PoolManager(retries=2)), "give it retries=False"),
    ],
)
def test_a_client_with_retries_of_its_own_is_refused(make: Callable[[], object], words: str) -> None:
    provider = Provider("bank", make)
    with pytest.raises(ConfigError, match=r"^client: of bank ") as raised:
        _ = provider.client
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "make",
    [
        httpx.Client,
        lambda: httpx.Client(transport=httpx.HTTPTransport(retries=0)),
        lambda: httpx.Client(transport=RetryTransport(0)),
        requests.Session,
        lambda: mounted(HTTPAdapter(max_retries=0)),
        lambda: urllib3.PoolManager(retries=False),
        lambda: urllib3.PoolManager(retries=0),
        lambda: Wrapper(httpx.Client()),
        lambda: Client("https://bank.example"),
        lambda: None,
        object,
    ],
)
def test_others_are_taken(make: Callable[[], object]) -> None:
    provider = Provider("bank", make)
    assert provider.client is provider.client
    provider.close()


def test_nothing_is_sent_with_one_that_is_refused(ledger_of: Make, books: Books) -> None:
    provider = Provider("bank", urllib3.PoolManager)

    @provider.operation(repeat=Never())
    def pay(client: urllib3.PoolManager, request: Pay, call: Sending) -> Paid:
        raise AssertionError("nothing may be sent")

    outcome = ledger_of(provider).call(pay, Pay(), key="1")
    assert isinstance(outcome, Unsettled)
    assert books.attempts() == [("send", "not_sent")]
