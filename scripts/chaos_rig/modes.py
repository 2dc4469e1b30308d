"""The topologies by their names."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from chaos_rig.cluster import cluster
from chaos_rig.history import History
from chaos_rig.topology import Topology, embedded

MODES: dict[str, Callable[[Path, History], AbstractAsyncContextManager[Topology]]] = {
    "embedded": embedded,
    "cluster": cluster,
}
