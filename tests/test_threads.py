"""Many photos at once: in order, a few ahead, one core each; what only one thread may use."""

import threading
import time

import cv2
import pytest

from emoclf.images import Spares, sharing_memory, threads, work_ahead


@pytest.fixture
def opencv_threads():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield 3
    cv2.setNumThreads(before)


def test_results_come_in_order_and_several_are_worked_on_at_once():
    together = threading.Barrier(4)

    def work(number):
        together.wait(60)
        time.sleep(0.003 * (-number % 4))
        return number

    assert list(work_ahead(work, range(40), workers=4)) == list(range(40))
    assert list(work_ahead(work, [])) == []


def test_only_a_few_are_taken_ahead_of_the_one_that_is_waited_for():
    taken, first = [], threading.Event()

    def items():
        for number in range(2000):
            taken.append(number)
            yield number

    def work(number):
        if number == 0:
            first.wait(60)
        return number

    results = work_ahead(work, items(), workers=2)
    threading.Timer(0.1, first.set).start()
    for number in results:
        assert len(taken) - number <= 10
    assert len(taken) == 2000


@pytest.mark.parametrize("how", ["failure", "closing"])
def test_what_ends_early_begins_nothing_more(how, opencv_threads):
    begun = []

    def work(number):
        begun.append(number)
        if number == 3 and how == "failure":
            raise KeyError(number)
        time.sleep(0.002)
        return number

    results = work_ahead(work, range(1000), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    if how == "closing":
        results.close()
    else:
        with pytest.raises(KeyError):
            next(results)
    after = len(begun)
    time.sleep(0.05)
    assert len(begun) == after < 20
    assert cv2.getNumThreads() == opencv_threads
    assert not any("ThreadPoolExecutor" in each.name for each in threading.enumerate())


def test_opencv_has_one_core_per_thread_until_the_last_user_has_ended(opencv_threads):
    def ask(_):
        return cv2.getNumThreads()

    first, second = (work_ahead(ask, range(3), workers=2) for _ in range(2))
    assert next(first) == next(second) == 1
    assert list(first) == [1, 1]
    assert cv2.getNumThreads() == 1, "the second is at work"
    assert list(second) == [1, 1]
    assert cv2.getNumThreads() == opencv_threads


def test_who_holds_memory_waits_for_no_other_thread():
    """Else both would wait: it for the result, the other for the memory."""
    with sharing_memory():
        found = set(work_ahead(lambda _: threading.get_ident(), range(9), workers=4))
    assert found == {threading.get_ident()}


def test_there_are_as_many_threads_as_cores_and_eight_at_most(monkeypatch):
    for cores, expected in ((1, 1), (3, 3), (64, 8)):
        monkeypatch.setattr(threads, "count_cores", lambda cores=cores: cores)
        barrier = threading.Barrier(expected)
        found = set(work_ahead(lambda _, b=barrier: (b.wait(60), threading.get_ident()), range(48)))
        assert len({ident for _, ident in found}) == expected


def test_of_what_one_thread_may_use_there_is_one_for_each_at_work():
    made, together = [], threading.Barrier(3)

    class Network:
        def __init__(self):
            self.busy = threading.Lock()
            made.append(self)

    spares = Spares(Network)
    assert len(made) == 1

    def work(_):
        with spares.borrow() as network:
            assert network.busy.acquire(blocking=False), "two threads at once"
            together.wait(60)
            network.busy.release()

    list(work_ahead(work, range(30), workers=3))
    assert len(made) == 3
    with pytest.raises(ValueError, match="once"), spares.borrow():
        raise ValueError("once")
    list(work_ahead(work, range(30), workers=3))
    assert len(made) == 3, "what failed is given back, too"
