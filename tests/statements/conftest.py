"""Fixtures of the tests of statements."""

from tests.people.conftest import desk, shared_database  # noqa: F401 -- fixtures
