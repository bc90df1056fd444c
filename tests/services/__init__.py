"""Real services for tests: PostgreSQL, Redis, a Kafka broker and an S3-compatible server, each a process of its own.

`make services` starts them in build/services; a test that stops one has a stack of its own in its own folder:

    stack = Stack(tmp_path)
    url = stack.start("postgres")["TIFFIN_TEST_POSTGRES_URL"]
    stack.stop("postgres")
    stack.start("postgres")     # the same port, the same data

Needs nothing but the standard library; what is missing is installed by apt-get and mvn.
"""

from tests.services.processes import ServiceFailed
from tests.services.stack import FOLDER, SERVICES, Stack, known

__all__ = ["FOLDER", "SERVICES", "ServiceFailed", "Stack", "known"]
