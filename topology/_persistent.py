"""An immutable map whose changed copies share all that did not change: a hash trie (Bagwell, 2001).

Changing one key copies a bucket and the few 32-way nodes above it, whatever the size of the map. Two versions are
compared by walking only what they do not share, or, when one was made from the other by `changed`, by the keys of that
step, which it remembers (with the one version before, no more). Iteration order follows hashes and differs from run to
run: whoever prints it sorts it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

__all__ = ["PersistentMap"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

_BITS = 5
_MASK = (1 << _BITS) - 1
_BUCKET = 32
"""Entries of a leaf before it is split."""
_DEEPEST = 12
"""Levels: 60 bits of the hash. Keys that agree in all of them share a bucket of any size."""
_ABSENT: Any = object()

Node = dict[Any, Any] | tuple[Any, ...]


class PersistentMap(Mapping[K, V], Generic[K, V]):
    """Reads cost O(log n), `set` and `discard` too; neither changes the map they are called on."""

    __slots__ = ("_origin", "_root", "_size")

    def __init__(self, items: Iterable[tuple[K, V]] = ()) -> None:
        root: Node = {}
        size = 0
        for key, value in items:
            size += _get(root, key, _ABSENT) is _ABSENT
            root = _with(root, hash(key), 0, key, value)
        self._root = root
        self._size = size
        self._origin: tuple[Node, Collection[K]] | None = None

    @classmethod
    def _of(cls, root: Node, size: int, origin: tuple[Node, Collection[K]] | None = None) -> PersistentMap[K, V]:
        made = cls.__new__(cls)
        made._root, made._size, made._origin = root, size, origin
        return made

    def __getitem__(self, key: K) -> V:
        value = _get(self._root, key, _ABSENT)
        if value is _ABSENT:
            raise KeyError(key)
        return cast("V", value)

    def get(self, key: Any, default: Any = None) -> Any:
        return _get(self._root, key, default)

    def __contains__(self, key: object) -> bool:
        return _get(self._root, key, _ABSENT) is not _ABSENT

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[K]:
        return (key for key, _ in _items(self._root))

    def pairs(self) -> Iterator[tuple[K, V]]:
        """Keys with their values: what `items` gives, without looking each key up."""
        return cast("Iterator[tuple[K, V]]", _items(self._root))

    def set(self, key: K, value: V) -> PersistentMap[K, V]:
        """A map in which `key` has `value`."""
        grown = self._size + (key not in self)
        return self._of(_with(self._root, hash(key), 0, key, value), grown)

    def discard(self, key: K) -> PersistentMap[K, V]:
        """A map without `key`; itself when it is not there."""
        if key not in self:
            return self
        return self._of(_without(self._root, hash(key), key), self._size - 1)

    def changed(self, changes: Iterable[tuple[K, D]], change: Callable[[V | None, D], V | None]) -> PersistentMap[K, V]:
        """A map in which each key of `changes` has what `change` makes of its value (None: absent), in one walk."""
        entries = list(changes)
        root, grown = _changed(self._root, entries, change)
        return self._of(root, self._size + grown, (self._root, dict.fromkeys(key for key, _ in entries)))

    def changes(self, later: PersistentMap[K, V]) -> Iterator[tuple[K, V | None]]:
        """What it takes to get from here to `later`: keys with their values there, None for those gone."""
        if later._origin is not None and later._origin[0] is self._root:  # one step: the keys are known
            return ((key, value) for key in later._origin[1] if (value := later.get(key)) != self.get(key))
        found: list[tuple[K, V | None]] = []
        _compare(self._root, later._root, found)
        return iter(found)


def _get(node: Node, key: Hashable, default: Any) -> Any:
    bits = hash(key)
    while type(node) is tuple:
        node = node[bits & _MASK]
        bits >>= _BITS
    return cast("dict[Any, Any]", node).get(key, default)


def _with(node: Node, bits: int, level: int, key: Hashable, value: Any) -> Node:
    if type(node) is tuple:
        place = bits & _MASK
        return (*node[:place], _with(node[place], bits >> _BITS, level + 1, key, value), *node[place + 1 :])
    bucket = {**cast("dict[Any, Any]", node), key: value}
    return bucket if len(bucket) <= _BUCKET or level == _DEEPEST else _split(bucket, level)


def _split(bucket: dict[Any, Any], level: int) -> Node:
    parts: list[dict[Any, Any]] = [{} for _ in range(_MASK + 1)]
    for key, value in bucket.items():
        parts[(hash(key) >> (_BITS * level)) & _MASK][key] = value
    return tuple(_split(part, level + 1) if len(part) > _BUCKET and level + 1 < _DEEPEST else part for part in parts)


def _without(node: Node, bits: int, key: Hashable) -> Node:
    if type(node) is tuple:
        place = bits & _MASK
        return (*node[:place], _without(node[place], bits >> _BITS, key), *node[place + 1 :])
    return {other: value for other, value in cast("dict[Any, Any]", node).items() if other != key}


def _items(node: Node) -> Iterator[tuple[Any, Any]]:
    if type(node) is tuple:
        for child in node:
            yield from _items(child)
    else:
        yield from cast("dict[Any, Any]", node).items()


def _changed(root: Node, changes: Iterable[tuple[Any, Any]], change: Callable[[Any, Any], Any]) -> tuple[Node, int]:
    """The root after the changes (key, by), and how many keys it gained. Each node on the way is copied once."""
    top: list[Any] = [root]
    opened: list[tuple[list[Any], int, list[Any]]] = []
    grown = 0
    for key, by in changes:
        bits, level, parent, place = hash(key), 0, top, 0
        while type(child := parent[place]) is not dict:
            if type(child) is tuple:
                child = parent[place] = list(child)
                opened.append((parent, place, child))
            parent, place = child, bits & _MASK
            bits >>= _BITS
            level += 1
        bucket = child.copy()
        value = change(bucket.get(key), by)
        if value is not None:
            bucket[key] = value
        else:
            bucket.pop(key, None)
        grown += len(bucket) - len(child)
        parent[place] = bucket if len(bucket) <= _BUCKET or level == _DEEPEST else _split(bucket, level)
    for parent, place, child in reversed(opened):
        parent[place] = tuple(child)
    return top[0], grown


def _compare(old: Node, new: Node, found: list[Any]) -> None:
    if type(old) is tuple and type(new) is tuple:
        for before, after in zip(old, new, strict=True):
            if before is not after:
                _compare(before, after, found)
    elif old is not new:
        held, wanted = _bucket(old), _bucket(new)
        found += [(key, value) for key, value in wanted.items() if held.get(key, _ABSENT) != value]
        found += [(key, None) for key in held if key not in wanted]


def _bucket(node: Node) -> dict[Any, Any]:
    return node if type(node) is dict else dict(_items(node))
