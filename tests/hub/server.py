"""A Hub in memory: the part of the Hugging Face Hub's protocol that creates, commits, lists and serves model repositories.

`Hub.faults` maps the beginning of `METHOD PATH` to what happens there instead: a status (with `headers`), "cut" before
anything is done, "answer lost" after it, "silence" until the client has gone, or "page", which is no JSON; `times` says how
often. `Hub.before` maps it to a function that is called first, once.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse

TOKEN = "hf_" + "A" * 30


@dataclass
class Repository:
    """The files of the newest revision; `revisions` is every commit's files, the oldest first."""

    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    revisions: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    @property
    def head(self) -> str:
        return self.revisions[-1][0]

    def at(self, revision: str) -> tuple[str | None, dict[str, bytes]]:
        """The commit that a revision names, and its files; None where there is none."""
        found = self.revisions[-1:] if revision == "main" else [one for one in self.revisions if one[0] == revision]
        return found[0] if found else (None, {})

    def commit(self) -> None:
        content = b"".join(name.encode() + data for name, data in sorted(self.files.items()))
        oid = hashlib.sha1(content + str(len(self.revisions)).encode()).hexdigest()
        self.revisions.append((oid, dict(self.files)))


@dataclass
class Hub:
    """What the server knows; `requests` are those it got, as `METHOD /path`, and `bodies` everything it was sent."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    bodies: bytes = b""
    url: str = ""

    def fault(self, request: str) -> dict[str, Any] | None:
        """What goes wrong with this request, if anything."""
        for start, fault in self.faults.items():
            if re.match(start, request) and fault.get("times", 1) > 0:
                fault["times"] = fault.get("times", 1) - 1
                return fault
        return None


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: Any) -> None:
        """Say nothing: tests read `Hub.requests`."""

    def do_GET(self) -> None:
        self.answer()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def answer(self) -> None:
        path = unquote(urlparse(self.path).path)
        body, request = self.body(), f"{self.command} {path}"
        self.hub.requests.append(request)
        self.hub.bodies += body
        for start in [start for start in self.hub.before if re.match(start, request)]:
            self.hub.before.pop(start)()
        fault = self.hub.fault(request)
        match fault and fault["answer"]:
            case None:
                self.route(path, body, self.send)
            case "page":
                self.send(200, raw=b"<html>log in to the network</html>")
            case int(status):
                self.send(status, {"error": "as the test asks"}, fault and fault.get("headers"))
            case how:
                if how == "answer lost":
                    self.route(path, body, lambda *_, **__: None)
                if how == "silence":
                    self.connection.recv(1)  # nothing more comes, until the client hangs up
                self.close_connection = True
                self.connection.shutdown(2)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(
        self, status: int, content: Any = None, headers: dict[str, str] | None = None, raw: bytes | None = None
    ) -> None:
        data = raw if raw is not None else json.dumps(content or {}).encode()
        self.send_response(status)
        kind = "application/json" if raw is None else "application/octet-stream"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def route(self, path: str, body: bytes, send: Callable[..., None]) -> None:
        may_write = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if path.startswith("/_upload/"):
            assert hashlib.sha256(body).hexdigest() == path.rpartition("/")[2]
            self.hub.uploads[path.rpartition("/")[2]] = body
            return send(200)
        if path == "/api/validate-yaml":
            wrong = b"license: made-up" in body
            return send(
                400 if wrong else 200, {"errors": [{"message": '"license" must be one of'}] * wrong, "warnings": []}
            )
        if path == "/api/whoami-v2":
            return send(200 if may_write else 401, {"type": "user", "name": "me", "orgs": []})
        if self.command in ("POST", "PUT") and not may_write:
            return send(401, {"error": "Invalid username or password."})
        if path == "/api/repos/create":
            return self.create(json.loads(body), send)
        for pattern, method in (
            (r"/(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch", self.large_files),
            (r"/api/models/(?P<name>[^/]+/[^/]+)(?:/(?P<rest>.*))?", self.api),
            (r"/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)", self.resolve),
        ):
            if found := re.fullmatch(pattern, path):
                own = found.groupdict()
                repository = self.hub.repositories.get(own.pop("name"))
                if repository is None or (repository.private and not may_write):
                    return send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
                return method(repository, body, send, **own)
        return send(404, {"error": f"the test server has no {path}"})

    def create(self, asked: dict[str, Any], send: Callable[..., None]) -> None:
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if name in self.hub.repositories:
            return send(409, {"error": "You already created this model repo", "url": f"{self.hub.url}/{name}"})
        made = self.hub.repositories[name] = Repository(
            bool(asked.get("private")) or asked.get("visibility") == "private"
        )
        made.commit()
        return send(200, {"url": f"{self.hub.url}/{name}", "name": name, "id": name})

    def large_files(self, repository: Repository, body: bytes, send: Callable[..., None]) -> None:
        objects = []
        for one in json.loads(body)["objects"]:
            known = one["oid"] in self.hub.uploads
            upload = {"upload": {"href": f"{self.hub.url}/_upload/{one['oid']}", "header": {}}}
            objects.append({"oid": one["oid"], "size": one["size"], **({} if known else {"actions": upload})})
        send(200, {"transfer": "basic", "objects": objects})

    def api(self, repository: Repository, body: bytes, send: Callable[..., None], rest: str | None) -> None:
        rest = rest or ""
        if rest.startswith("preupload/"):
            return send(200, {"files": [self.plan(repository, one) for one in json.loads(body)["files"]]})
        if rest.startswith("commit/"):
            return self.commit(repository, body, send)
        if rest.startswith("paths-info/"):
            asked = json.loads(body)["paths"]
            return send(200, [self.entry(repository, n, repository.files[n]) for n in asked if n in repository.files])
        if rest.startswith("tree/"):
            _, files = repository.at(rest.split("/")[1])
            return send(200, [self.entry(repository, name, files[name]) for name in sorted(files)])
        if rest == "" or rest.startswith("revision/"):
            sha, files = repository.at(rest.partition("/")[2] or "main")
            if sha is None:
                return send(404, {"error": "no such revision"}, {"X-Error-Code": "RevisionNotFound"})
            names = [{"rfilename": name} for name in sorted(files)]
            return send(200, {"_id": "1", "id": "me/it", "modelId": "me/it", "sha": sha, "siblings": names,
                              "private": repository.private, "tags": [], "downloads": 0, "likes": 0})  # fmt: skip
        return send(404, {"error": f"the test server has no {rest}"})

    def plan(self, repository: Repository, asked: dict[str, Any]) -> dict[str, Any]:
        name, there = asked["path"], repository.files.get(asked["path"])
        mode = "lfs" if name.endswith(".safetensors") else "regular"
        oid = None
        if there is not None:
            oid = hashlib.sha256(there).hexdigest() if mode == "lfs" else git_oid(there)
        return {"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def commit(self, repository: Repository, body: bytes, send: Callable[..., None]) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        parent = next(line["value"].get("parentCommit") for line in lines if line["key"] == "header")
        if parent is not None and parent != repository.head:
            return send(412, {"error": "A commit has happened since."})
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = self.hub.uploads[value["oid"]]
                repository.large.add(value["path"])
            elif line["key"] == "deletedFile":
                if value["path"] not in repository.files:
                    return send(
                        404, {"error": "A file with this name doesn't exist"}, {"X-Error-Code": "EntryNotFound"}
                    )
                del repository.files[value["path"]]
        repository.commit()
        return send(200, {"success": True, "commitOid": repository.head, "commitUrl": f"{self.hub.url}/me/it/commit/1"})

    @staticmethod
    def entry(repository: Repository, name: str, data: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "oid": git_oid(data), "size": len(data), "path": name}
        if name in repository.large:
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry

    def resolve(self, repository: Repository, body: bytes, send: Callable[..., None], revision: str, file: str) -> None:
        sha, files = repository.at(revision)
        if sha is None or file not in files:
            code = "EntryNotFound" if sha else "RevisionNotFound"
            return send(404, {"error": "Entry not found"}, {"X-Error-Code": code})
        data = files[file]
        tag = hashlib.sha256(data).hexdigest() if file in repository.large else git_oid(data)
        return send(200, headers={"ETag": f'"{tag}"', "X-Repo-Commit": sha}, raw=data)


def serve() -> tuple[Hub, ThreadingHTTPServer]:
    """A hub that listens on a free port of this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return hub, server
