"""The programs that are measured. Each says how it is configured, the way an expert would, and how it is started."""

from .floor import Floor
from .h2o import H2o
from .haproxy import Haproxy
from .nghttpx import Nghttpx
from .nginx import Nginx
from .palier import Palier
from .peer import Peer

__all__ = ["Floor", "H2o", "Haproxy", "Nghttpx", "Nginx", "Palier", "Peer"]
