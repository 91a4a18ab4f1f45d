"""What a client library would do by itself, and must not: send again, or follow a redirect.

The ledger decides whether a request is sent again. A client that does so behind its back sends when it is too late, or
makes a second effect. Known are httpx, requests and urllib3, by the shape of their objects: none of them is imported.
"""

from collections.abc import Iterator, Mapping

from onceward.errors import ConfigError

_NONE = (None, False, 0)


def refuse(provider: str, client: object) -> None:
    """Refuse a client that retries or follows redirects, or that holds such a one in an attribute.

    Raises:
        ConfigError: says what to turn off.
    """
    for each in (client, *_attributes(client)):
        for problem in _problems(each):
            raise ConfigError("client", f"of {provider} {problem}; the ledger decides whether a request is sent again")


def _attributes(client: object) -> list[object]:
    return list(vars(client).values()) if hasattr(client, "__dict__") else []


def _problems(client: object) -> Iterator[str]:
    module = type(client).__module__.partition(".")[0]
    if module == "httpx" or hasattr(client, "_transport"):
        yield from _of_httpx(client)
    if isinstance(adapters := getattr(client, "adapters", None), Mapping):
        yield from _of_requests(adapters)
    if isinstance(options := getattr(client, "connection_pool_kw", None), Mapping):
        yield from _of_urllib3(options.get("retries", 3))
    elif hasattr(client, "urlopen") and hasattr(client, "retries"):
        yield from _of_urllib3(client.retries)


def _of_httpx(client: object) -> Iterator[str]:
    if getattr(client, "follow_redirects", False):
        yield "follows redirects: give httpx.Client follow_redirects=False"
    mounts = getattr(client, "_mounts", None)
    others = list(mounts.values()) if isinstance(mounts, Mapping) else []
    for transport in (getattr(client, "_transport", None), *others):
        if _retries(getattr(getattr(transport, "_pool", None), "_retries", 0)):
            yield "retries connections: give its transport retries=0"
        if _retries(getattr(transport, "retry", None)):
            yield f"has a transport that retries ({type(transport).__name__}): take one that does not"


def _of_requests(adapters: Mapping[str, object]) -> Iterator[str]:
    for prefix, adapter in adapters.items():
        if _retries(getattr(adapter, "max_retries", None)):
            yield f"retries what goes to {prefix}: mount HTTPAdapter(max_retries=0)"


def _of_urllib3(retries: object) -> Iterator[str]:
    if _retries(retries):
        yield "retries, as urllib3 does unless told otherwise: give it retries=False"


def _retries(policy: object) -> bool:
    """Whether a number of retries, or an object that holds one as `total`, says that there may be any."""
    total = getattr(policy, "total", policy)
    return total not in _NONE
