"""Why a whole import job failed, or did not do all of it."""

from __future__ import annotations

from engine.failures import Failure
from stores import imports


def gone(code: str, message: str) -> Failure:
    return Failure("processing", code, message, "Bring back what is missing, then send the file again.")


def no_rows() -> Failure:
    return Failure("validation", "body_empty", "The file has no rows.", "Send the rows below the header.")


def every_row_failed() -> Failure:
    return Failure("validation", "every_row_failed", "Every row failed.", "Correct the rows that the report names.")


def too_many_failures(most: int) -> Failure:
    return Failure(
        "validation",
        "too_many_failures",
        f"More than {most} rows failed.",
        "Correct the rows that the report names, or raise TIFFIN_IMPORT_FAILURES; then send the file again.",
        facts={"limit": most},
    )


def cancelled() -> Failure:
    return Failure(
        "processing",
        "import_cancelled",
        "The job was cancelled; what was written before stays.",
        "Send the file again to go on: what is written is not written again.",
    )


def crashed() -> Failure:
    return Failure(
        "processing",
        "import_crashed",
        f"The job was begun {imports.MOST_ATTEMPTS} times at one chunk and never got beyond it.",
        "Look for the job's id in the logs and report the fault.",
    )


def fault() -> Failure:
    return Failure(
        "processing",
        "internal_error",
        "Tiffin failed on this file.",
        "Look for the job's id in the logs, report the fault, and send the file again once that is mended.",
    )


def duplicate(holder: str) -> Failure:
    return Failure(
        "duplicate",
        "duplicate",
        f"The file's work was done before, or is being done, by {holder}.",
        "Nothing is to be done; give a corrected file an id of its own.",
        facts={"duplicate_of": holder},
    )
