"""A stand-in for Kafka without a JVM: the mock cluster inside librdkafka, which the confluent-kafka wheel carries.

It serves other processes over TCP and lives in this process's memory. It does not fence zombies and accepts much that
Apache Kafka refuses: good enough to watch the product work, never a proof of a guarantee.
"""

import ctypes
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from onceward.errors import OncewardError

_PRODUCER = 0
_ERROR_SIZE = 512


class EmbeddedKafka:
    """A mock cluster of one broker on 127.0.0.1. Topics must be created before they are used."""

    def __init__(self) -> None:
        self._library = _library()
        error = ctypes.create_string_buffer(_ERROR_SIZE)
        configuration = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set_log_cb(configuration, None)  # it would warn that this client has no servers
        self._client = self._library.rd_kafka_new(_PRODUCER, configuration, error, _ERROR_SIZE)
        if not self._client:
            raise OncewardError(f"librdkafka gave no client: {error.value.decode()}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            self._library.rd_kafka_destroy(self._client)
            raise OncewardError("librdkafka gave no mock cluster")
        self._library.rd_kafka_mock_set_controller_id(self._cluster, 1)  # else admin clients wait for a controller
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers."""
        servers: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return servers.decode()

    def create_topic(self, name: str, partitions: int = 4) -> None:
        """Create a topic. Each partition may take about 5 MB of memory before old records are dropped."""
        error = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        if error:
            raise OncewardError(f"topic {name}: librdkafka error {error}")

    def close(self) -> None:
        """End the cluster; its records are gone."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _library() -> ctypes.CDLL:
    spec = find_spec("confluent_kafka.cimpl")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    bundled = sorted((package.parent / "confluent_kafka.libs").glob("librdkafka*"))  # auditwheel's folder on Linux
    bundled += sorted((package / ".dylibs").glob("librdkafka*"))  # delocate's on macOS
    library = ctypes.CDLL(str(bundled[0]) if bundled else "librdkafka.so.1")
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_conf_set_log_cb", None, [pointer, pointer]),
        ("rd_kafka_new", pointer, [number, pointer, text, ctypes.c_size_t]),
        ("rd_kafka_destroy", None, [pointer]),
        ("rd_kafka_mock_cluster_new", pointer, [pointer, number]),
        ("rd_kafka_mock_cluster_destroy", None, [pointer]),
        ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
        ("rd_kafka_mock_set_controller_id", number, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_topic_create", number, [pointer, text, number, number]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
