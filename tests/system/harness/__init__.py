"""What the system tests stand on: palier itself, real fronts, scripted peers, load tools.

Every process is ended by its pid, every port is taken free, and every wait is for a condition.
"""

from .certificates import Authority, Certificate, make_ca, make_certificate, make_stale, ocsp_response, openssl, revoke
from .config import route, server, site, tls_listener, to_toml
from .control import Control
from .environment import BIG_BODY, BINARY, ROOT, SANITIZED, SCALE, duration, seconds
from .held import Held
from .load import H2loadResult, SteadyH2load, Wrk, curl, h2load
from .messages import ConnectionEnded, Message, Request, Response, response
from .namespaces import Machine, Network, why_no_networks
from .palier import Palier, run_palier
from .passersby import Passersby
from .ports import free_port, is_listening, listening_sockets
from .process import Child, descendants, resident_bytes
from .raw_backend import BackendConnection, FullBacklog, RawBackend
from .raw_client import RawClient
from .tls import SClient, TlsClient, alert_of, client_context, client_hello, s_client, server_context, sslscan
from .visits import Visits
from .waiting import wait_for
from .web_front import WebFront
from .websocket_server import websocket_echo, websocket_server

__all__ = [
    "Authority", "BIG_BODY", "BINARY", "BackendConnection", "Certificate", "Child", "ConnectionEnded", "Control", "FullBacklog",
    "H2loadResult", "Held", "Machine", "Message", "Network", "Palier", "Passersby", "ROOT", "RawBackend", "RawClient",
    "Request", "Response", "SANITIZED", "SCALE", "SClient", "SteadyH2load", "TlsClient", "Visits", "WebFront", "Wrk", "alert_of",
    "client_context", "client_hello", "curl", "descendants", "duration", "free_port", "h2load", "is_listening",
    "listening_sockets", "make_ca", "make_certificate", "make_stale", "ocsp_response", "openssl", "resident_bytes",
    "response", "revoke", "route", "run_palier", "s_client", "seconds", "server", "server_context", "site", "sslscan",
    "tls_listener", "to_toml", "wait_for", "websocket_echo", "websocket_server", "why_no_networks",
]
