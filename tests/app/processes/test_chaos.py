"""The chaos run in its short form: what is killed and started again loses and repeats nothing."""

from benchmarks.chaos.run import run


def test_nothing_is_lost_or_told_twice_whatever_is_killed() -> None:
    told = list[str]()
    result = run(seed=2, minutes=0.2, tell=lambda doing, _: told.append(doing))
    assert result["lost"] == 0
    assert result["repeated"] == 0
    assert result["disordered"] == 0
    assert result["equal"], result["differences"]
    # Else nothing was shown.
    assert result["kills"] > 0
    assert result["alerts"] > 20
    assert result["acknowledged"]["decisions"] > 0
    assert result["acknowledged"]["webhooks"] > 100
    assert {"disturbing", "undisturbed"} == set(told)
