import threading

import pytest

from agentlab.head.ahead import Ahead


def test_the_next_one_is_begun_in_order_and_made_in_a_thread():
    begun: list[int] = []
    made_in: set[int] = set()

    def begin(n: int):
        number = len(begun)
        begun.append(n)

        def make() -> tuple[int, int]:
            made_in.add(threading.get_ident())
            return number, n

        return make

    ahead = Ahead(begin)
    assert [ahead.take(2, 2), ahead.take(2, 3), ahead.take(3)] == [(0, 2), (1, 2), (2, 3)]
    assert begun == [2, 2, 3]
    assert made_in.isdisjoint({threading.get_ident()})


def test_it_is_made_while_the_last_one_is_used():
    may_end = threading.Event()
    ahead = Ahead(_second_waits_for(may_end))
    assert ahead.take(1, 1) == "first"
    may_end.set()
    assert ahead.take(1) == "second"


def _second_waits_for(event: threading.Event):
    names = iter(("first", "second", "third"))

    def begin(n: int):  # noqa: ARG001
        name = next(names)
        return lambda: name if name == "first" or event.wait(30) else "never"

    return begin


def test_one_of_another_size_is_begun_anew():
    ahead = Ahead(lambda n: lambda: n)
    assert [ahead.take(n, 3) for n in (3, 3, 1, 3)] == [3, 3, 1, 3]


def test_what_is_dropped_is_not_taken_and_its_failure_is_nobody_s():
    numbers = iter(range(10))

    def begin(n: int):  # noqa: ARG001
        number = next(numbers)
        return lambda: number if number != 1 else 1 // 0

    ahead = Ahead(begin)
    assert ahead.take(1, 1) == 0
    ahead.drop()
    assert ahead.take(1) == 2


def test_a_failure_is_raised_once_where_it_is_taken():
    numbers = iter(range(10))
    ahead = Ahead(lambda n: (lambda number: lambda: n // number)(next(numbers)))
    with pytest.raises(ZeroDivisionError):
        ahead.take(1, 1)
    assert ahead.take(1) == 1
