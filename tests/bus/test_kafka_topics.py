import pytest

from bus.kafka_topics import Wanted, problems

AS_WANTED = {"cleanup.policy": "delete", "min.insync.replicas": "2", "retention.ms": "1000"}
WANTED = Wanted(partitions=4, replication=3, min_insync=2, retention_ms=1000)


def test_a_topic_that_is_as_wanted_has_no_problems() -> None:
    assert problems(4, 3, AS_WANTED, WANTED) == ()


@pytest.mark.parametrize(
    ("partitions", "replication", "change", "said"),
    [
        (3, 3, {}, "3 partitions"),
        (4, 2, {}, "replication 2"),
        (4, 3, {"min.insync.replicas": "1"}, "min.insync.replicas 1, wanted 2"),
        (4, 3, {"min.insync.replicas": "4"}, "nothing can be written"),
        (4, 3, {"cleanup.policy": "compact"}, "cleanup.policy compact"),
        (4, 3, {"cleanup.policy": "compact,delete"}, "cleanup.policy compact"),
        (4, 3, {"retention.ms": "999"}, "retention.ms 999"),
        (4, 3, {"max.message.bytes": "5000"}, "max.message.bytes 5000"),
    ],
)
def test_a_topic_that_is_not_as_wanted_has_one_problem(
    partitions: int, replication: int, change: dict[str, str], said: str
) -> None:
    [problem] = problems(partitions, replication, {**AS_WANTED, **change}, WANTED)
    assert said in problem


def test_messages_that_stay_for_ever_stay_long_enough() -> None:
    assert problems(4, 3, {**AS_WANTED, "retention.ms": "-1"}, WANTED) == ()


def test_messages_that_end_do_not_stay_for_ever() -> None:
    [problem] = problems(4, 3, AS_WANTED, Wanted(4, 3, 2, -1))
    assert "retention.ms 1000" in problem
