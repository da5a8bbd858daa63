"""Managers, proxies and their errors: the names of ``processing_managers``."""

from __future__ import annotations

from processing_managers import AcquirerProxy as AcquirerProxy
from processing_managers import ArrayProxy as ArrayProxy
from processing_managers import AsyncResultProxy as AsyncResultProxy
from processing_managers import AutoProxy as AutoProxy
from processing_managers import BarrierProxy as BarrierProxy
from processing_managers import BaseManager as BaseManager
from processing_managers import BaseProxy as BaseProxy
from processing_managers import Batch as Batch
from processing_managers import CallResult as CallResult
from processing_managers import ConditionProxy as ConditionProxy
from processing_managers import CreatorMethod as CreatorMethod
from processing_managers import DictProxy as DictProxy
from processing_managers import EventProxy as EventProxy
from processing_managers import IteratorProxy as IteratorProxy
from processing_managers import JoinableQueueProxy as JoinableQueueProxy
from processing_managers import ListProxy as ListProxy
from processing_managers import LockProxy as LockProxy
from processing_managers import MakeProxyType as MakeProxyType
from processing_managers import Manager as Manager
from processing_managers import ManagerLost as ManagerLost
from processing_managers import ManagerServer as ManagerServer
from processing_managers import Namespace as Namespace
from processing_managers import NamespaceProxy as NamespaceProxy
from processing_managers import NotExposedError as NotExposedError
from processing_managers import NotHeldError as NotHeldError
from processing_managers import PoolProxy as PoolProxy
from processing_managers import QueueProxy as QueueProxy
from processing_managers import ReferentGoneError as ReferentGoneError
from processing_managers import RemoteError as RemoteError
from processing_managers import RLockProxy as RLockProxy
from processing_managers import SemaphoreProxy as SemaphoreProxy
from processing_managers import SetProxy as SetProxy
from processing_managers import SyncManager as SyncManager
from processing_managers import Token as Token
from processing_managers import TooOftenError as TooOftenError
from processing_managers import UnknownTypeError as UnknownTypeError
from processing_managers import ValueProxy as ValueProxy
from processing_sharedctypes.shared_memory import SharedMemoryManager as SharedMemoryManager

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
    "SharedMemoryManager",
    "SyncManager",
    "Token",
    "TooOftenError",
    "UnknownTypeError",
    "ValueProxy",
]
