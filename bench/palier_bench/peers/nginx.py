"""nginx with one worker."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ..certificates import DEFAULT_NAME
from ..site import Site
from .peer import Peer

_MAIN = """\
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {directory}/nginx.pid;
error_log stderr error;
events {{
    use epoll;
    worker_connections {descriptors};
    accept_mutex off;
}}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    server_names_hash_max_size 65536;
    server_names_hash_bucket_size 128;

    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_conf_command NumTickets 1;
    ssl_ecdh_curve X25519;
    http2_chunk_size 16k;

    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    reset_timedout_connection on;
    client_max_body_size 0;

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_request_buffering off;
    client_body_buffer_size 256k;
    proxy_buffer_size 16k;
    proxy_buffers 16 64k;
    proxy_busy_buffers_size 128k;
    proxy_max_temp_file_size 0;

    upstream web {{
{servers}
        keepalive {keepalive};
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
{hosts}}}
"""


class Nginx(Peer):
    name = "nginx"

    def __init__(self, program: str, descriptors: int):
        self._program = program
        self._descriptors = min(descriptors, 65_536)

    def version(self) -> str:
        return subprocess.run([self._program, "-v"], capture_output=True, text=True).stderr.strip().rpartition("/")[2]

    def command(self, site: Site, port: int, directory: Path) -> list:
        config = directory / "nginx.conf"
        config.write_text(_MAIN.format(
            # Started by root, the worker would become a user who cannot enter the temporary directory.
            user="user root;" if os.geteuid() == 0 else "",
            descriptors=self._descriptors, directory=directory,
            servers="\n".join(f"        server {address} max_fails=0;" for address in site.addresses()),
            keepalive=max(1024, 2 * site.servers), hosts=_hosts(site, port)))
        return [self._program, "-p", directory, "-e", "stderr", "-c", config]


def _hosts(site: Site, port: int) -> str:
    listen = f"listen 127.0.0.1:{port}{' ssl http2' if site.certificates else ''}"
    return "".join(f"    server {{\n        {listen}{' backlog=4096' if number == 0 else ''};\n"
                   + "".join(f"        {line}\n" for line in lines) + "    }\n"
                   for number, lines in enumerate(_servers(site)))


def _servers(site: Site) -> Iterator[list[str]]:
    """The lines of each server block. The first serves clients that name no other."""
    everything = "location / { proxy_pass http://web; }"
    for host, prefixes in site.routes():
        yield [f"server_name {host};", *(f"location {prefix} {{ proxy_pass http://web; }}" for prefix in prefixes)]
    if site.certificates:
        for name in [DEFAULT_NAME, *site.certificates.names]:
            pem = site.certificates.file(name)
            yield [f"server_name {name};", f"ssl_certificate {pem};", f"ssl_certificate_key {pem};", everything]
    elif not site.routes():
        yield [everything]
