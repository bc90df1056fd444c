"""Sketches made into a file that loads and works on its samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from engine.canon import Canon
from engine.failures import Failure
from engine.problems import ProviderFileError
from flows.golden import RECEIVED_AT, context_of, make_request
from flows.inferring.feeds import currency_of, family_of, grouped, sketch_of
from flows.inferring.samples import MEDIA_TYPES, Decoded, Sample, decoded
from flows.inferring.senders import auth_of, safe_headers
from flows.inferring.sketches import Guess, Rule, Sketch, Uninferrable
from flows.inferring.writing import Header, provider_file, written
from flows.providers import LoadedProvider, load_text
from flows.trial import Trial, try_request

_MOST_MENDED = 60


@dataclass(frozen=True)
class Wishes:
    """What the caller says and no sample has to; None is guessed. ISO 4217 code, IANA zone, unit."""

    title: str | None = None
    family: str | None = None
    currency: str | None = None
    time_zone: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class InferredCase:
    """A sample as a golden case: its feed, its headers without secrets, and the external ids of its stores."""

    sample: Sample
    feed: str
    headers: dict[str, str]
    stores: tuple[str, ...]
    verdict: str
    commands: int


@dataclass(frozen=True)
class Inferred:
    """A provider file's text, what was guessed in it, and the samples as cases."""

    text: str
    guesses: tuple[Guess, ...]
    cases: tuple[InferredCase, ...]


def infer(provider: str, samples: Iterable[Sample], canon: Canon, wishes: Wishes = Wishes()) -> Inferred:
    """Raises Uninferrable, with the reason."""
    read = [decoded(sample) for sample in samples]
    if not read:
        raise Uninferrable("There is no sample.")
    family = wishes.family or family_of(read)
    found = wishes.currency or currency_of(read)
    header, guesses = _header(provider, read, wishes, family, found)
    groups = grouped(read)
    sketches = _distinct([sketch_of(group, header.currency, family) for group in groups])
    belongs = [(one, sketch.name) for group, sketch in zip(groups, sketches, strict=True) for one in group]
    sketches, loaded = _mended(header, sketches, belongs, canon)
    cases = tuple(_case(loaded, one, feed) for one, feed in belongs)
    return Inferred(loaded.text, (*guesses, *_guesses(sketches)), cases)


def _header(
    provider: str, read: list[Decoded], wishes: Wishes, family: str, currency: str | None
) -> tuple[Header, list[Guess]]:
    headers = [pair for one in read for pair in one.sample.headers]
    auth, auth_guess = auth_of(headers)
    header = Header(
        provider,
        wishes.title or provider.replace("-", " ").title(),
        family,
        currency or "INR",
        wishes.unit or "each",
        wishes.time_zone or "Asia/Kolkata",
        auth,
        auth_guess,
    )
    guesses = [auth_guess]
    if wishes.family is None:
        guesses.append(Guess("family", family, 0.6, "by the words of the payload; --family says another"))
    if wishes.currency is None:
        sure, because = (0.9, "the samples name it") if currency else (0.2, "no sample names one; --currency does")
        guesses.append(Guess("defaults.currency", header.currency, sure, because))
    if wishes.time_zone is None:
        guesses.append(
            Guess("defaults.time_zone", header.time_zone, 0.2, "of times without a zone; --time-zone says another")
        )
    return header, guesses


def _distinct(sketches: list[Sketch]) -> list[Sketch]:
    """Feeds with names of their own."""
    seen: dict[str, int] = {}
    made = []
    for sketch in sketches:
        seen[sketch.name] = seen.get(sketch.name, 0) + 1
        made.append(sketch if seen[sketch.name] == 1 else replace(sketch, name=f"{sketch.name}-{seen[sketch.name]}"))
    return made


Belongs = list[tuple[Decoded, str]]


def _mended(
    header: Header, sketches: list[Sketch], belongs: Belongs, canon: Canon
) -> tuple[list[Sketch], LoadedProvider]:
    """Takes out what keeps the file from loading or fails on a sample, until nothing does."""
    for _ in range(_MOST_MENDED):
        loaded = _loaded(header, sketches, canon)
        failures = [
            (feed, failure)
            for one, feed in belongs
            for failure in _tried(loaded, one, feed).outcome.failures
            if not failure.warning
        ]
        mended = _without(sketches, failures)
        if mended is None:
            break
        sketches = mended
    silent = [one.sample.name for one, feed in belongs if not _tried(loaded, one, feed).outcome.commands]
    if silent:
        raise Uninferrable(
            f"No command comes of {', '.join(silent)}: what looks like an id or a value there cannot be read as one. "
            "Write the file by hand: docs/how-to/write-a-provider-file.md"
        )
    return sketches, loaded


def _loaded(header: Header, sketches: list[Sketch], canon: Canon) -> LoadedProvider:
    try:
        return load_text(provider_file(header, sketches), canon)
    except ProviderFileError as error:
        problem = error.problems[0]
        raise Uninferrable(f"The file would not load: {problem.message}. {problem.hint}") from None


def _tried(loaded: LoadedProvider, one: Decoded, feed: str) -> Trial:
    request = make_request(
        loaded.interpreter,
        feed,
        one.sample.body,
        received_at=datetime.fromisoformat(RECEIVED_AT),
        headers=tuple(_case_headers(one).items()),
    )
    context = context_of(loaded.interpreter.provider.provider, {})
    return try_request(loaded.interpreter, feed, request, context.connection, {}, verify=False, create=True)


def _case_headers(one: Decoded) -> dict[str, str]:
    kept = safe_headers(one.sample.headers)
    if not any(name.lower() == "content-type" for name in kept):
        kept = {"Content-Type": MEDIA_TYPES[one.format], **kept}
    return kept


def _without(sketches: list[Sketch], failures: list[tuple[str, Failure]]) -> list[Sketch] | None:
    """The sketches without the first thing that fails; None where nothing does or nothing can be taken out."""
    for feed, failure in failures:
        at = next(n for n, sketch in enumerate(sketches) if sketch.name == feed)
        changed = _without_one(sketches[at], failure)
        if changed is not None:
            return [*sketches[:at], changed, *sketches[at + 1 :]]
    return None


def _without_one(sketch: Sketch, failure: Failure) -> Sketch | None:
    if failure.code == "key_part_missing":
        return replace(sketch, event_id=None)
    if failure.code == "scope_missing":
        return replace(sketch, store=None)
    rule = next((rule for rule in sketch.rules if rule.name == failure.rule), None)
    if rule is None:
        return None
    field = str(failure.facts.get("field") or _field_at(rule, failure))
    if field and (field in rule.named or field == "version") and not _needed(rule, field):
        rules = tuple(rule.without(field) if one is rule else one for one in sketch.rules)
        return replace(sketch, rules=rules)
    # Elements that cannot be told are the sample's own fault where others can.
    if len(sketch.rules) > 1 and failure.element in (None, 0):
        return replace(sketch, rules=tuple(one for one in sketch.rules if one is not rule))
    return None


def _field_at(rule: Rule, failure: Failure) -> str:
    ending = failure.path.rpartition("]")[2].lstrip(".") or failure.path
    return next((said.name for said in rule.fields if said.text == ending), "")


def _needed(rule: Rule, field: str) -> bool:
    return field in [said.name for said in rule.fields[:2]]


def _case(loaded: LoadedProvider, one: Decoded, feed: str) -> InferredCase:
    trial = _tried(loaded, one, feed)
    commands = trial.outcome.commands
    stores = {str(command.data["store_id"]) for command in commands if command.data.get("store_id")}
    if trial.reading is not None and trial.reading.scope.store:
        stores.add(trial.reading.scope.store)
    return InferredCase(one.sample, feed, _case_headers(one), tuple(sorted(stores)), trial.verdict, len(commands))


def _guesses(sketches: list[Sketch]) -> Iterable[Guess]:
    for sketch in sketches:
        at = f"feeds.{sketch.name}"
        if sketch.store is not None:
            yield Guess(f"{at}.scope.store", sketch.store.text, sketch.store.sure, sketch.store.because)
        if sketch.event_id is not None:
            yield Guess(
                f"{at}.idempotency", f"event_id: {sketch.event_id.text}", sketch.event_id.sure, sketch.event_id.because
            )
        else:
            because = "no field names the message; a resend after another message is taken for news"
            yield Guess(f"{at}.idempotency", "payload_hash against last", 0.4, because)
        for rule in sketch.rules:
            here = f"{at}.commands.{rule.name}"
            yield Guess(here, f"{rule.command} for each {rule.each or 'message'}", rule.sure, "by its fields")
            for said in rule.fields:
                yield Guess(f"{here}.fields.{said.name}", written(said), said.sure, said.because)
            if rule.version is not None:
                yield Guess(f"{here}.version", rule.version.text, rule.version.sure, rule.version.because)


__all__ = ["Inferred", "InferredCase", "Wishes", "infer"]
