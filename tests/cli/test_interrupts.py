"""The first Ctrl-C or `kill` asks for an end in good order, the second one insists."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from dvsnet_jax.cli.interrupts import stop_on_interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_asks_and_the_second_insists(number, capfd):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stop_on_interrupt() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
        told = capfd.readouterr().err
        assert told == "\ndvsnet: finishing the frames on their way; once more to stop at once\n"
        signal.raise_signal(number)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_end_in_good_order_needs_nobody_who_reads():
    """Of `dvsnet … 2>&1 | tee log` Ctrl-C ends tee as well."""
    kept, (reader, writer) = os.dup(2), os.pipe()
    os.close(reader)
    os.dup2(writer, 2)
    try:
        with stop_on_interrupt() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.is_set()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(writer)


def test_in_another_thread_signals_are_left_alone():
    seen = []

    def run():
        with stop_on_interrupt() as stop:
            seen.append((stop.is_set(), signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
