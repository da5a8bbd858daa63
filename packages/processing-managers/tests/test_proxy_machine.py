"""Proxies of several processes against plain objects, under random schedules."""

from __future__ import annotations

import pickle
import sys
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import processing_core
from manager_children import do_as_told
from processing_managers import SyncManager

values = st.integers() | st.text(max_size=3) | st.none() | st.lists(st.integers(), max_size=2)
keys = st.text(max_size=2) | st.integers(0, 3)
places = st.integers(-4, 4)
METHODS: dict[str, st.SearchStrategy[tuple[str, tuple[Any, ...]]]] = {
    "list": st.one_of(
        st.tuples(st.just("append"), st.tuples(values)),
        st.tuples(st.just("insert"), st.tuples(places, values)),
        st.tuples(st.just("pop"), st.tuples(places)),
        st.tuples(st.just("extend"), st.tuples(st.lists(values, max_size=3))),
        st.tuples(st.just("remove"), st.tuples(values)),
        st.tuples(st.just("index"), st.tuples(values)),
        st.tuples(st.just("__getitem__"), st.tuples(places)),
        st.tuples(st.just("__setitem__"), st.tuples(places, values)),
        st.tuples(st.just("__contains__"), st.tuples(values)),
        st.tuples(st.just("reverse"), st.tuples()),
    ),
    "dict": st.one_of(
        st.tuples(st.just("__setitem__"), st.tuples(keys, values)),
        st.tuples(st.just("__delitem__"), st.tuples(keys)),
        st.tuples(st.just("__getitem__"), st.tuples(keys)),
        st.tuples(st.just("setdefault"), st.tuples(keys, values)),
        st.tuples(st.just("update"), st.tuples(st.dictionaries(keys, values, max_size=3))),
        st.tuples(st.just("pop"), st.tuples(keys, values)),
        st.tuples(st.just("popitem"), st.tuples()),
        st.tuples(st.just("get"), st.tuples(keys)),
    ),
}


class Proxies(RuleBasedStateMachine):
    """Containers, some of them within others, used by this process and by a child."""

    def __init__(self) -> None:
        super().__init__()
        self.manager = SyncManager()
        self.manager.start()
        self.at_first = self.manager._number_of_objects()
        self.connection, theirs = processing_core.Pipe()
        self.child = processing_core.Process(target=do_as_told, args=(theirs,))
        self.child.start()
        theirs.close()
        self.proxies: list[Any] = []
        self.plain: list[Any] = []

    def teardown(self) -> None:
        self.connection.send(None)
        self.child.join()
        self.connection.close()
        self.child.close()
        # An object lives as long as somebody refers to it, and no longer.
        self.proxies.clear()
        assert self.manager._number_of_objects() == self.at_first
        self.manager.shutdown()
        assert self.manager.process is not None
        self.manager.process.close()

    @initialize()
    def begin(self) -> None:
        self.add_list()
        self.add_dict()

    @rule()
    def add_list(self) -> None:
        self.proxies.append(self.manager.list())
        self.plain.append([])

    @rule()
    def add_dict(self) -> None:
        self.proxies.append(self.manager.dict())
        self.plain.append({})

    def outcome(self, obj: Any, name: str, args: tuple[Any, ...], elsewhere: bool) -> Any:
        if elsewhere:
            self.connection.send((obj, name, args))
            return self.connection.recv()
        try:
            return getattr(obj, name)(*args)
        except Exception as error:  # noqa: BLE001 - its type is compared
            return type(error)

    @rule(data=st.data(), elsewhere=st.booleans())
    def call(self, data: st.DataObject, elsewhere: bool) -> None:
        number = data.draw(st.integers(0, len(self.plain) - 1))
        plain = self.plain[number]
        name, args = data.draw(METHODS["list" if isinstance(plain, list) else "dict"])
        # What is put into both must not be one object.
        expected = self.outcome(plain, name, pickle.loads(pickle.dumps(args)), False)
        assert self.outcome(self.proxies[number], name, args, elsewhere) == expected

    @rule(data=st.data(), elsewhere=st.booleans())
    def nest(self, data: st.DataObject, elsewhere: bool) -> None:
        """Put one into another: a later one into an earlier one, so there is no circle."""
        outer = data.draw(st.integers(0, len(self.plain) - 1))
        inner = data.draw(st.integers(outer, len(self.plain) - 1))
        if inner == outer:
            return
        if isinstance(self.plain[outer], list):
            name, key = "append", ()
        else:
            name, key = "__setitem__", (0,)  # type: ignore[assignment]  # a key, and no key
        self.outcome(self.plain[outer], name, (*key, self.plain[inner]), False)
        given = (*key, self.proxies[inner])
        assert self.outcome(self.proxies[outer], name, given, elsewhere) is None

    @rule(data=st.data())
    def travel(self, data: st.DataObject) -> None:
        """A proxy is replaced by one that was sent, the first is given up."""
        number = data.draw(st.integers(0, len(self.plain) - 1))
        self.proxies[number] = pickle.loads(pickle.dumps(self.proxies[number]))

    @rule()
    def give_up(self) -> None:
        if len(self.plain) > 1:
            del self.proxies[-1], self.plain[-1]

    @invariant()
    def all_are_equal(self) -> None:
        for proxy, plain in zip(self.proxies, self.plain, strict=True):
            assert proxy == plain
            assert str(proxy) == str(plain)


TestProxies = Proxies.TestCase
TestProxies.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
