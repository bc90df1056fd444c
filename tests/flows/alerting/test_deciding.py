"""Each trouble is told once, its end once, and few reminders in between."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from flows.alerting.deciding import CALM, MOST_REMINDERS, MOST_SUBJECTS, Measured, decide
from flows.alerting.kinds import new_alert
from flows.alerting.telling import headers
from stores.alerts import Changes, Standing

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
RULE = new_alert("quarantine", "https://hooks.example/x", above=5, remind=3600, who="ann", at=START)


class Story:
    """Rounds one after the other; `told` is what was told in each."""

    def __init__(self, rule=RULE) -> None:
        self.rule, self.now = rule, START
        self.standing: dict[str, Standing] = {}

    def round(self, minutes: float = 1, **values: int) -> list[str]:
        self.now += timedelta(minutes=minutes)
        measured = {name.replace("_", ""): Measured(value, 5) for name, value in values.items()}
        found: Changes = decide(self.rule, measured, self.standing.values(), self.now, "https://desk.example")
        self.standing.update({one.subject: one for one in found.put})
        for one in found.over:
            del self.standing[one.subject]
        return [one.type.removeprefix("alert.") for one in found.messages]


def test_what_is_not_above_its_bound_is_not_told() -> None:
    assert Story().round(_=5) == []


def test_a_trouble_that_stands_is_told_once() -> None:
    story = Story()
    assert [story.round(_=6), story.round(_=7), story.round(_=8)] == [["firing"], [], []]


def test_its_end_is_told_once_when_all_has_been_well_for_a_while() -> None:
    story = Story()
    story.round(_=6)
    calm = CALM.total_seconds() / 60
    assert [story.round(_=1), story.round(calm / 2), story.round(calm), story.round(calm)] == [[], [], ["resolved"], []]


def test_what_comes_and_goes_is_one_trouble() -> None:
    story = Story()
    told = [one for _ in range(10) for one in (*story.round(_=9), *story.round(_=1))]
    assert told == ["firing"]


def test_reminders_are_bounded() -> None:
    story = Story()
    told = [one for _ in range(20) for one in story.round(61, _=9)]
    assert told == ["firing", *["reminder"] * MOST_REMINDERS]


def test_no_reminders_where_none_are_wanted() -> None:
    story = Story(new_alert("quarantine", "https://hooks.example/x", remind=0, who="ann", at=START))
    assert [one for _ in range(5) for one in story.round(60 * 24, _=9)] == ["firing"]


def test_each_subject_is_a_trouble_of_its_own() -> None:
    story = Story()
    assert story.round(a=9, b=1) == ["firing"]
    assert story.round(a=9, b=9) == ["firing"]
    assert set(story.standing) == {"a", "b"}


def test_subjects_without_end_are_told_up_to_a_bound() -> None:
    story = Story()
    values = {f"c{n}": 9 for n in range(MOST_SUBJECTS + 30)}
    assert story.round(**values) == ["firing"] * MOST_SUBJECTS
    assert story.round(**values) == []


def test_a_message_says_what_how_much_and_where_to_look() -> None:
    rule = new_alert("silent_connection", "https://hooks.example/x?token=t0ken", who="ann", at=START)
    found = decide(rule, {"one/two": Measured(7200, 3600)}, [], START, "https://desk.example")
    [message] = found.messages
    told = json.loads(message.body)
    assert told["type"] == "alert.firing"
    assert told["data"]["message"] == "how long a connection has sent nothing of one/two is 7200 s, above 3600 s."
    assert told["data"]["see"] == "https://desk.example/desk/connections/one%2Ftwo"
    assert (told["data"]["value"], told["data"]["above"], told["data"]["unit"]) == (7200, 3600, "seconds")
    assert "t0ken" not in message.body


def test_signatures_are_those_of_standard_webhooks() -> None:
    # The published vector of the libraries of Standard Webhooks.
    found = headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        datetime.fromtimestamp(1614265330, UTC),
    )  # fmt: skip
    assert found["Webhook-Signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
