"""Where compiled programs are kept."""

from __future__ import annotations

import pwd

import jax
import pytest

from dvsnet_jax.cli.compile_cache import keep_compiled


@pytest.fixture
def place(monkeypatch):
    """A function for what JAX was told."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    told = {}
    monkeypatch.setattr(jax.config, "update", told.__setitem__)
    return lambda: keep_compiled() or told.get("jax_compilation_cache_dir")


def test_in_the_users_cache(place, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert place() == "/home/somebody/.cache/dvsnet-jax/xla"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/somebody")
    assert place() == "/var/cache/somebody/dvsnet-jax/xla"


def test_a_user_without_a_home_keeps_none(place, monkeypatch):
    """As a container has that runs under a number that nobody entered among its users."""

    def unknown(number: int) -> None:
        raise KeyError(f"uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert place() is None
