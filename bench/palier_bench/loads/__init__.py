"""The load generators. Each runs against one port for some seconds, and fails unless every answer was right."""

from .h2load import H2Load
from .handshakes import Handshakes
from .load import Count, Load
from .steady import Steady
from .wrk import Wrk

__all__ = ["Count", "H2Load", "Handshakes", "Load", "Steady", "Wrk"]
