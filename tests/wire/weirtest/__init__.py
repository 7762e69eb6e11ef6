"""The one helper of the wire tests: a raw client, a scripted origin, the real binary between."""

from .check import nothing_upstream, own_answer, refused, why
from .client import Client, chunks, request
from .message import WAIT, Ended, Malformed
from .origin import OK, Conn, Origin, echo, once, serve
from .program import LINKAGES, Installed, Network, examples, lines_of_code
from .proxy import Proxy, binary, poll, run
from .records import APPLICATION_DATA, Records
from .tls import Authority

__all__ = ["APPLICATION_DATA", "Authority", "Client", "Conn", "Ended", "Installed", "LINKAGES",
           "Malformed", "Network", "OK", "Origin", "Proxy", "Records", "WAIT", "binary", "chunks",
           "echo", "examples", "lines_of_code", "nothing_upstream", "once", "own_answer", "poll",
           "refused", "request", "run", "serve", "why"]
