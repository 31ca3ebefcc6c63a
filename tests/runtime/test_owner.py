"""Names of processes: our own lives, one that ended is gone, and of others nothing is said."""

import subprocess
import sys

import pytest

from worldloom.runtime import owner

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process began")


def test_we_are_not_gone():
    assert not owner.gone(owner.own_name()) and owner.own_name() == owner.own_name()


@linux
def test_a_process_that_ended_is_gone_even_before_it_is_buried():
    child = subprocess.Popen(
        [sys.executable, "-c", "from worldloom.runtime.owner import own_name; print(own_name(), flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    name = child.stdout.readline().strip()
    assert not owner.gone(name)
    child.kill()
    while not owner.gone(name):  # the system takes a moment to end it; we have not waited for it, so it is not buried
        pass
    child.communicate()
    assert owner.gone(name)


@linux
def test_a_later_process_of_the_same_number_is_another():
    name = owner.own_name()
    assert owner.gone(f"{name}1") and not owner.gone(name)


@pytest.mark.parametrize("name", [None, "", "one", "host:12", "host:x@y.z", f"host:1@{'0' * 8}.5", "host:999999999@.0"])
def test_of_other_systems_and_names_nothing_is_known(name):
    assert not owner.gone(name)


def test_a_system_without_proc_knows_of_nobody(monkeypatch, tmp_path):
    monkeypatch.setattr(owner, "PROC", tmp_path)
    owner.place.cache_clear()
    try:
        assert owner.own_name().endswith("@.0") and not owner.gone(owner.own_name())
    finally:
        owner.place.cache_clear()
