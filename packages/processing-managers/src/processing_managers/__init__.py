"""The public door of processing-managers: manager processes, and proxies to what they hold."""

from __future__ import annotations

from processing_core import RemoteError as RemoteError
from processing_managers.__about__ import __version__ as __version__
from processing_managers._client.batches import Batch as Batch
from processing_managers._client.batches import CallResult as CallResult
from processing_managers._manager import BaseManager as BaseManager
from processing_managers._manager import CreatorMethod as CreatorMethod
from processing_managers._manager import ManagerServer as ManagerServer
from processing_managers._proxies.base import AutoProxy as AutoProxy
from processing_managers._proxies.base import BaseProxy as BaseProxy
from processing_managers._proxies.base import IteratorProxy as IteratorProxy
from processing_managers._proxies.base import MakeProxyType as MakeProxyType
from processing_managers._proxies.base import Token as Token
from processing_managers._proxies.containers import ArrayProxy as ArrayProxy
from processing_managers._proxies.containers import DictProxy as DictProxy
from processing_managers._proxies.containers import ListProxy as ListProxy
from processing_managers._proxies.containers import NamespaceProxy as NamespaceProxy
from processing_managers._proxies.containers import ValueProxy as ValueProxy
from processing_managers._proxies.locks import AcquirerProxy as AcquirerProxy
from processing_managers._proxies.locks import BarrierProxy as BarrierProxy
from processing_managers._proxies.locks import ConditionProxy as ConditionProxy
from processing_managers._proxies.locks import EventProxy as EventProxy
from processing_managers._proxies.locks import JoinableQueueProxy as JoinableQueueProxy
from processing_managers._proxies.locks import LockProxy as LockProxy
from processing_managers._proxies.locks import QueueProxy as QueueProxy
from processing_managers._proxies.locks import RLockProxy as RLockProxy
from processing_managers._proxies.locks import SemaphoreProxy as SemaphoreProxy
from processing_managers._proxies.pools import AsyncResultProxy as AsyncResultProxy
from processing_managers._proxies.pools import PoolProxy as PoolProxy
from processing_managers._proxies.sets import SetProxy as SetProxy
from processing_managers._server.containers import NamespaceReferent as Namespace
from processing_managers._sync_manager import Manager as Manager
from processing_managers._sync_manager import SyncManager as SyncManager
from processing_managers.errors import ManagerLost as ManagerLost
from processing_managers.errors import NotExposedError as NotExposedError
from processing_managers.errors import NotHeldError as NotHeldError
from processing_managers.errors import ReferentGoneError as ReferentGoneError
from processing_managers.errors import TooOftenError as TooOftenError
from processing_managers.errors import UnknownTypeError as UnknownTypeError

__all__ = [
    "AcquirerProxy",
    "ArrayProxy",
    "AsyncResultProxy",
    "AutoProxy",
    "BarrierProxy",
    "BaseManager",
    "BaseProxy",
    "Batch",
    "CallResult",
    "ConditionProxy",
    "CreatorMethod",
    "DictProxy",
    "EventProxy",
    "IteratorProxy",
    "JoinableQueueProxy",
    "ListProxy",
    "LockProxy",
    "MakeProxyType",
    "Manager",
    "ManagerLost",
    "ManagerServer",
    "Namespace",
    "NamespaceProxy",
    "NotExposedError",
    "NotHeldError",
    "PoolProxy",
    "QueueProxy",
    "RLockProxy",
    "ReferentGoneError",
    "RemoteError",
    "SemaphoreProxy",
    "SetProxy",
    "SyncManager",
    "Token",
    "TooOftenError",
    "UnknownTypeError",
    "ValueProxy",
    "__version__",
]
