"""Real servers for repositories: sshd, git over smart HTTP and Mercurial's own, on loopback."""

import base64
import getpass
import http.client
import os
import re
import shutil
import socket
import subprocess
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.vcs.sources import ENVIRONMENT, call

LOGIN = ("zoe", "hunter2")
EXPECTED = "Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or "sshd"
SSHD_CONFIG = """
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PidFile none
"""


def a_key(path: Path) -> Path:
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
    return path


class SshServer:
    """Lets in who has `folder/client`. Each connection gets an sshd of its own, so no port is guessed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = a_key(folder / "client").read_text()
        public = a_key(folder / "host").with_suffix(".pub").read_text()
        shutil.copyfile(folder / "client.pub", folder / "authorized")
        (folder / "config").write_text(SSHD_CONFIG.format(folder=folder))
        if os.geteuid() == 0:
            # Started by root, sshd insists on its empty folder.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.known_hosts = f"[127.0.0.1]:{self.port} {public}"
        self._thread = threading.Thread(target=self._serve)
        self._children: list[subprocess.Popen[bytes]] = []
        self._thread.start()

    def url(self, path: str) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        # A listener that is only closed would leave its accept waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for child in self._children:
            child.kill()
            child.wait()

    def _serve(self) -> None:
        command = [SSHD, "-i", "-e", "-f", str(self.folder / "config")]
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, (self.folder / "log").open("ab") as log:
                child = subprocess.Popen(
                    command, stdin=connection.fileno(), stdout=connection.fileno(), stderr=log
                )
                self._children.append(child)


class _Guarded(BaseHTTPRequestHandler):
    """Answers those who know the password."""

    server: "HttpServer"
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = self._body()
        given = self.headers.get("Authorization")
        if given is not None:
            self.server.given.append(given)
        if self.path.startswith("/moved/"):
            self._answer(HTTPStatus.FOUND, {"Location": f"{self.server.leads_to}{self.path[6:]}"}, b"")
        elif given != EXPECTED:
            self._answer(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Basic realm="code"'}, b"")
        else:
            self._answer(*self.server.serve(self, body))

    def do_POST(self) -> None:
        self.do_GET()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
        pass


class HttpServer(ThreadingHTTPServer):
    """`given` has every password anybody told it; below `/moved/` it leads to `leads_to`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Guarded)
        self.given: list[str] = []
        self.leads_to = ""
        self._thread = threading.Thread(target=self.serve_forever, args=[0.01])
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def serve(self, _request: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Nothing is here but the door."""
        return HTTPStatus.NOT_FOUND, {}, b"no such page"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle of a request is no error here."""

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class GitHttp(HttpServer):
    def __init__(self, root: Path) -> None:
        self.root = root
        super().__init__()

    def serve(self, _request: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        path, _, query = _request.path.partition("?")
        environment = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": _request.command,
            "REMOTE_USER": LOGIN[0],
            "CONTENT_TYPE": _request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(_body)),
            "HTTP_CONTENT_ENCODING": _request.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": _request.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        said = subprocess.run(
            ["git", "http-backend"],
            env=ENVIRONMENT | environment,
            input=_body,
            capture_output=True,
            check=True,
        )
        head, _, content = said.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        return int(headers.pop("Status", "200").split()[0]), headers, content


class HgHttp(HttpServer):
    """`hg serve` knows no passwords, so this stands before it."""

    def __init__(self, repository: Path) -> None:
        command = ["hg", "serve", "--repository", str(repository), "--address", "127.0.0.1", "--port", "0"]
        self._process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        found = re.search(r"bound to 127\.0\.0\.1:(\d+)", self._process.stdout.readline().decode())
        assert found
        self._port = int(found[1])
        super().__init__()

    def serve(self, _request: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        behind = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        left_out = {"authorization", "host", "connection"}
        headers = {name: value for name, value in _request.headers.items() if name.lower() not in left_out}
        behind.request(_request.command, _request.path, _body, headers)
        answer = behind.getresponse()
        content = answer.read()
        kind = answer.getheader("Content-Type") or "text/plain"
        behind.close()
        return answer.status, {"Content-Type": kind}, content

    def close(self) -> None:
        super().close()
        self._process.terminate()
        self._process.communicate()
