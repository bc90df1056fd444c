"""The index in OpenSearch, against a server of the test's own that keeps what it is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from engine.search_terms import Doc, DocKey, Question, document
from flows.consume.reindex import Where, open_index
from stores.database import Database, open_database
from stores.schema import migrate
from stores.search.index import SearchAway
from stores.search.opensearch_index import OpenSearchIndex
from stores.views import Advance, Moved

RICE = DocKey("north", "sto_1", "item", "itm_1")
DAL = DocKey("north", "sto_1", "item", "itm_2")


class Cluster(ThreadingHTTPServer):
    """Documents by id, and every request: (method, path, authorization, body)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.docs: dict[str, Any] = {}
        self.requests: list[tuple[str, str, str, str]] = []
        self.failing = 0

    @property
    def url(self) -> str:
        return f"http://searcher:pa%2Fss@127.0.0.1:{self.server_address[1]}/goods"


class Answers(BaseHTTPRequestHandler):
    server: Cluster
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.server.requests.append((self.command, self.path, self.headers.get("authorization", ""), body))
        if self.server.failing:
            self.told(self.server.failing, {"error": "away", "status": self.server.failing})
        elif self.path.split("?")[0] == "/goods/_bulk":
            self.told(200, {"errors": False, "items": self.bulk(body)})
        elif self.path.split("?")[0] == "/goods/_search":
            hits = [{"_source": doc, "_score": 2.5} for doc in self.server.docs.values()]
            self.told(200, {"hits": {"hits": hits}})
        elif self.command == "DELETE":
            self.server.docs = {}
            self.told(200, {"acknowledged": True})
        else:
            self.told(200, {"acknowledged": True})

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def bulk(self, body: str) -> Iterator[Any]:
        lines = iter([json.loads(line) for line in body.splitlines()])
        items = []
        for action in lines:
            ((what, about),) = action.items()
            if what == "index":
                self.server.docs[about["_id"]] = next(lines)
                items.append({what: {"status": 201}})
            else:
                items.append({what: {"status": 200 if self.server.docs.pop(about["_id"], None) else 404}})
        return items  # type: ignore[return-value]

    def told(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    server = Cluster()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = open_database(f"sqlite:///{tmp_path}/tiffin.db")
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def index(cluster: Cluster, database: Database, tmp_path: Path) -> Iterator[OpenSearchIndex]:
    @contextmanager
    def transaction() -> Iterator[Connection]:
        with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            yield connection

    made = open_index(Where(cluster.url, True, tmp_path), transaction, write=True)
    assert isinstance(made, OpenSearchIndex)
    yield made
    made.close()


def doc(key: DocKey, name: str) -> Doc:
    return document(key, {"name": name})


def names(cluster: Cluster) -> list[str]:
    return sorted(one["name"] for one in cluster.docs.values())


def test_documents_are_put_in_and_taken_out_and_offsets_stand_in_the_database(
    index: OpenSearchIndex, cluster: Cluster
) -> None:
    index.take([doc(RICE, "Rice"), doc(DAL, "Dal")], [], [Advance(0, 0, 2)])
    index.take([doc(RICE, "Brown rice")], [DAL], [Advance(0, 2, 4)])
    assert (names(cluster), index.offsets()) == (["brown rice"], {0: 4})
    index.take([], [DAL], [Advance(0, 4, 5)])  # it is not there any more
    assert index.offsets() == {0: 5}


def test_a_cluster_that_is_away_moves_no_offset(index: OpenSearchIndex, cluster: Cluster) -> None:
    index.take([doc(RICE, "Rice")], [], [Advance(0, 0, 1)])
    cluster.failing = 503
    with pytest.raises(SearchAway):
        index.take([doc(DAL, "Dal")], [], [Advance(0, 1, 2)])
    with pytest.raises(SearchAway):
        index.search(Question("rice", "north"))
    cluster.failing = 0
    assert index.offsets() == {0: 1}


def test_offsets_that_another_has_moved_are_not_moved(index: OpenSearchIndex) -> None:
    index.take([doc(RICE, "Rice")], [], [Advance(0, 0, 1)])
    with pytest.raises(Moved):
        index.take([doc(RICE, "Rice")], [], [Advance(0, 0, 1)])


def test_a_rebuild_makes_the_index_with_its_mapping_and_fills_it(index: OpenSearchIndex, cluster: Cluster) -> None:
    index.take([doc(DAL, "Dal")], [], [Advance(0, 0, 9)])
    count = index.rebuild((doc(RICE._replace(id=f"itm_{n}"), "Rice") for n in range(1200)), {0: 7, 1: 3})
    assert (count, len(cluster.docs), index.offsets()) == (1200, 1200, {0: 7, 1: 3})
    made = [json.loads(body) for method, path, _, body in cluster.requests if method == "PUT"]
    assert made[0]["mappings"]["properties"]["codes"] == {"type": "text", "analyzer": "whitespace"}
    assert index.rebuild(iter(()), {0: 0}, only_new=True) is None


def test_a_search_asks_for_every_word_within_its_scope(index: OpenSearchIndex, cluster: Cluster) -> None:
    index.take([doc(RICE, "Rice")], [], [Advance(0, 0, 1)])
    hits = index.search(Question("Brown ríce", "north", "sto_1", "item", limit=11, offset=20))
    assert [(hit.key, hit.score) for hit in hits] == [(RICE, 2.5)]
    sent = json.loads(cluster.requests[-1][3])
    words = sent["query"]["bool"]
    assert words["filter"] == [{"term": {"tenant": "north"}}, {"term": {"owner": "sto_1"}}, {"term": {"kind": "item"}}]
    asked = [one["dis_max"]["queries"][0]["multi_match"]["query"] for one in words["must"]]
    assert (asked, sent["from"], sent["size"]) == (["brown", "rice"], 20, 11)
    assert words["must"][1]["dis_max"]["queries"][1]["multi_match"]["fuzziness"] == 1


def test_the_urls_user_signs_in_and_its_password_is_told_in_no_error(index: OpenSearchIndex, cluster: Cluster) -> None:
    index.take([doc(RICE, "Rice")], [], [Advance(0, 0, 1)])
    assert cluster.requests[0][2] == "Basic c2VhcmNoZXI6cGEvc3M="
    cluster.failing = 500
    with pytest.raises(SearchAway) as told:
        index.search(Question("rice", "north"))
    assert "pa/ss" not in str(told.value)
