"""How much may come, on a clock of the test's own."""

from bot.allowance import Allowance


def test_at_once_and_on_average() -> None:
    allowance = Allowance(per_second=2.0, at_once=3.0)
    assert [allowance.take(10.0) for _ in range(5)] == [True, True, True, False, False]
    assert [allowance.take(11.0) for _ in range(3)] == [True, True, False]
    taken = sum(allowance.take(11.0 + i / 100) for i in range(1000))
    assert taken == 19


def test_a_long_pause_is_no_credit_beyond_that() -> None:
    allowance = Allowance(per_second=2.0, at_once=3.0)
    allowance.take(0.0)
    assert [allowance.take(9999.0) for _ in range(4)] == [True, True, True, False]


def test_what_is_too_much_uses_nothing_up() -> None:
    allowance = Allowance(per_second=1.0, at_once=10.0)
    assert not allowance.take(0.0, 10.5)
    assert allowance.take(0.0, 10.0)
