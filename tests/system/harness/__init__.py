"""What the system tests stand on: palier itself, real fronts, scripted peers, load tools.

Every process is ended by its pid, every port is taken free, and every wait is for a condition.
"""

from .config import route, server, site, to_toml
from .environment import BIG_BODY, BINARY, ROOT, SANITIZED, SCALE, duration, seconds
from .load import Wrk, curl, h2load
from .messages import ConnectionEnded, Message, Request, Response, response
from .palier import Palier, run_palier
from .ports import free_port, is_listening, listening_sockets
from .process import Child, descendants, resident_bytes
from .raw_backend import BackendConnection, FullBacklog, RawBackend
from .raw_client import RawClient
from .waiting import wait_for
from .web_front import WebFront

__all__ = [
    "BIG_BODY", "BINARY", "BackendConnection", "Child", "ConnectionEnded", "FullBacklog", "Message", "Palier",
    "ROOT", "RawBackend", "RawClient", "Request", "Response", "SANITIZED", "SCALE", "WebFront", "Wrk", "curl",
    "descendants", "duration", "free_port", "h2load", "is_listening", "listening_sockets",
    "resident_bytes", "response", "route",
    "run_palier", "seconds", "server", "site", "to_toml", "wait_for",
]
