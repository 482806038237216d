"""A real front: nginx and php-fpm from Debian, in a directory of their own."""

import contextlib
import os
import shutil
import signal
import socket
from pathlib import Path

from .certificates import Certificate
from .namespaces import Machine
from .ports import free_port, is_listening
from .process import Child, descendants
from .waiting import wait_for

_PAGES = Path(__file__).resolve().parent / "pages"

_NGINX = """
{user}
worker_processes {workers};
daemon off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    log_format visits "$msec $request_time $server_port";
    access_log {log};
    client_body_temp_path {directory}/body;
    fastcgi_temp_path {directory}/fastcgi;
    proxy_temp_path {directory}/proxy;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 0;
    client_body_buffer_size 512k;
    underscores_in_headers on;
    fastcgi_request_buffering off;
    server {{
        listen {host}:{port} backlog={backlog} reuseport{tls};
        listen {host}:{probe_port} backlog={backlog} reuseport{tls};
        root {pages};
        add_header X-Front {name} always;
        location = /hello.txt {{ default_type text/plain; return 200 "hello from {name}\\n"; }}
        location / {{
            fastcgi_pass unix:{directory}/fpm.sock;
            fastcgi_param SCRIPT_FILENAME {pages}/echo.php;
            include {directory}/fastcgi_params;
        }}
        location = /health {{
            if (-f {directory}/ill) {{ return 500 "ill\n"; }}
            fastcgi_pass unix:{directory}/fpm.sock;
            fastcgi_param SCRIPT_FILENAME {pages}/echo.php;
            include {directory}/fastcgi_params;
        }}
        location = /buffered {{
            fastcgi_pass unix:{directory}/fpm.sock;
            fastcgi_param SCRIPT_FILENAME {pages}/echo.php;
            include {directory}/fastcgi_params;
            fastcgi_request_buffering on;
        }}
        location = /https-only {{
            fastcgi_pass unix:{directory}/fpm.sock;
            fastcgi_param SCRIPT_FILENAME {pages}/https_only.php;
            include {directory}/fastcgi_params;
        }}
        location = /download {{
            fastcgi_pass unix:{directory}/fpm.sock;
            fastcgi_param SCRIPT_FILENAME {pages}/download.php;
            include {directory}/fastcgi_params;
        }}
    }}
}}
"""

_FASTCGI_PARAMETERS = """
fastcgi_param FRONT {name};
fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param REQUEST_URI $request_uri;
fastcgi_param QUERY_STRING $query_string;
fastcgi_param CONTENT_TYPE $content_type;
fastcgi_param CONTENT_LENGTH $content_length;
fastcgi_param SERVER_PROTOCOL $server_protocol;
fastcgi_param REMOTE_ADDR $remote_addr;
fastcgi_param SERVER_PORT $server_port;
fastcgi_buffers 32 32k;
fastcgi_max_temp_file_size 0;
fastcgi_read_timeout 120s;
"""

_FPM = """
[global]
error_log = {directory}/fpm.log
daemonize = no
[www]
{user}
listen = {directory}/fpm.sock
listen.backlog = 4096
pm = static
pm.max_children = 4
php_admin_value[enable_post_data_reading] = off
php_admin_value[post_max_size] = 0
php_admin_value[max_execution_time] = 0
php_admin_value[output_buffering] = off
php_admin_value[zlib.output_compression] = off
php_admin_value[memory_limit] = 64M
php_admin_value[sys_temp_dir] = {directory}
"""


def _find(*names: str) -> str:
    for name in names:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if found:
            return found
    raise AssertionError(f"none of {', '.join(names)} is installed")


class WebFront:
    """nginx and php-fpm behind `port`. Every answer carries X-Front with the front's name.

    /hello.txt   a few bytes from nginx alone
    /health      500 while the front is ill(); else as the last of these
    /download?bytes=N   N bytes out of PHP
    /https-only  a redirect to https for those who did not come by it (X-Forwarded-Proto)
    /buffered    as the next, its body collected by nginx first (what a chunked one needs: CGI wants a length)
    anything else   JSON: front, https (as an application tells it), server ($_SERVER), input_size, input_crc32

    The same is behind `probe_port`, for who wants to tell probes and visitors apart. With a `certificate`, it speaks
    only TLS. On a `machine`, it has that one's address instead of 127.0.0.1. With `log`, nginx's own access log tells of
    visits().
    """

    def __init__(self, name: str, directory: Path, workers: int = 1, certificate: Certificate | None = None,
                 machine: Machine | None = None, backlog: int = 4096, log: bool = False):
        self.name, self.machine = name, machine
        self.host = machine.address if machine else "127.0.0.1"
        self.directory = directory / f"front-{name}"
        self.directory.mkdir()
        with self._inside():
            self.port, self.probe_port = free_port(), free_port()
        tls = f" ssl; ssl_certificate {certificate.crt}; ssl_certificate_key {certificate.key}" if certificate else ""
        values = {"name": name, "directory": self.directory, "host": self.host, "port": self.port,
                  "probe_port": self.probe_port, "pages": _PAGES, "workers": workers, "tls": tls, "backlog": backlog,
                  "log": f"{self.directory}/access.log visits" if log else "off"}
        as_root = os.geteuid() == 0
        self._write("nginx.conf", _NGINX, values, user="user root root;" if as_root else "")
        self._write("fastcgi_params", _FASTCGI_PARAMETERS, values)
        self._write("fpm.conf", _FPM, values, user="user = root\ngroup = root" if as_root else "")
        self._nginx: Child | None = None
        self._fpm: Child | None = None
        self._callers: list[socket.socket] = []
        self.start()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def log_size(self) -> int:
        return (self.directory / "access.log").stat().st_size

    def visits(self, skipping: int = 0) -> list[float]:
        """When each request that did not come to `probe_port` began, by nginx's access log behind so many bytes; a wall
        clock's seconds."""
        with open(self.directory / "access.log", encoding="ascii") as log:
            log.seek(skipping)
            lines = log.read().splitlines()
        return [float(ended) - float(took) for ended, took, port in map(str.split, lines) if int(port) == self.port]

    def start(self) -> None:
        """Starts php-fpm and nginx, or those of them that were killed."""
        with self._inside():
            if not _runs(self._fpm):
                self._fpm = Child([_find("php-fpm8.2", "php-fpm", "php-fpm8.4", "php-fpm8.3"), "-R", "-F", "-n", "-y",
                                   self.directory / "fpm.conf"], self.directory, "fpm")
                wait_for(self._php_listens, f"php-fpm of {self.name}")
            if not _runs(self._nginx):
                self._nginx = Child([_find("nginx"), "-p", self.directory, "-c", self.directory / "nginx.conf"],
                                    self.directory, "nginx")
                wait_for(lambda: is_listening(self.port) and is_listening(self.probe_port),
                         f"nginx of {self.name}; {self._nginx.stderr()}")

    def kill(self) -> None:
        """SIGKILL for nginx, master and workers, as a crash of the machine's web server would have it."""
        self._nginx.kill()

    def kill_php(self) -> None:
        """SIGKILL for php-fpm: nginx answers 502."""
        self._fpm.kill()

    def ill(self) -> None:
        """/health says 500, and everything else is as it was."""
        (self.directory / "ill").touch()

    def well(self) -> None:
        """Ends ill()."""
        (self.directory / "ill").unlink(missing_ok=True)

    def freeze(self) -> None:
        """SIGSTOP for all processes: the kernel accepts connections, and nobody answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Ends freeze() and fill_queues()."""
        while self._callers:
            self._callers.pop().close()
        self._signal_all(signal.SIGCONT)

    def fill_queues(self) -> None:
        """freeze(), and callers that the kernel accepts until it accepts no more: a small `backlog` is of use."""
        self.freeze()
        for port in (self.port, self.probe_port):
            while self._calls(port):
                pass

    def stop(self) -> None:
        self.thaw()
        for program in (self._nginx, self._fpm):
            if _runs(program):
                program.stop(signal.SIGTERM)

    def _calls(self, port: int) -> bool:
        with self._inside():
            caller = socket.socket()
        self._callers.append(caller)
        caller.settimeout(0.1)
        try:
            caller.connect((self.host, port))
        except TimeoutError:
            return False
        return True

    def _inside(self) -> contextlib.AbstractContextManager:
        return self.machine.inside() if self.machine else contextlib.nullcontext()

    def _php_listens(self) -> bool:
        """Its socket's file may be there from before."""
        with socket.socket(socket.AF_UNIX) as caller:
            return caller.connect_ex(str(self.directory / "fpm.sock")) == 0

    def _signal_all(self, number: int) -> None:
        for program in (self._nginx, self._fpm):
            if _runs(program):
                for pid in [program.pid, *descendants(program.pid)]:
                    os.kill(pid, number)

    def _write(self, file: str, template: str, values: dict, **more) -> None:
        (self.directory / file).write_text(template.format(**values, **more))


def _runs(program: Child | None) -> bool:
    return program is not None and program.running()
