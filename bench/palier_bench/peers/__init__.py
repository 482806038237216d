"""The programs that are measured. Each says how it is configured, the way an expert would, and how it is started."""

from .floor import Floor
from .haproxy import Haproxy
from .nginx import Nginx
from .palier import Palier
from .peer import Peer

__all__ = ["Floor", "Haproxy", "Nginx", "Palier", "Peer"]
