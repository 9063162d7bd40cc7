"""An immutable map whose changed copies share all that did not change: a hash trie (Bagwell, 2001).

Changing one key copies a bucket and the few 32-way nodes above it, whatever the size of the map. Two versions are
compared by walking only what they do not share. Iteration order follows hashes and differs from run to run: whoever
prints it sorts it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

__all__ = ["PersistentMap"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

_BITS = 5
_MASK = (1 << _BITS) - 1
_BUCKET = 12
"""Entries of a leaf before it is split."""
_DEEPEST = 12
"""Levels: 60 bits of the hash. Keys that agree in all of them share a bucket of any size."""
_ABSENT: Any = object()

Node = dict[Any, Any] | tuple[Any, ...]


class PersistentMap(Mapping[K, V], Generic[K, V]):
    """Reads cost O(log n), `set` and `discard` too; neither changes the map they are called on."""

    __slots__ = ("_root", "_size")

    def __init__(self, items: Iterable[tuple[K, V]] = ()) -> None:
        root: Node = {}
        size = 0
        for key, value in items:
            size += _get(root, key, _ABSENT) is _ABSENT
            root = _with(root, hash(key), 0, key, value)
        self._root = root
        self._size = size

    @classmethod
    def _of(cls, root: Node, size: int) -> PersistentMap[K, V]:
        made = cls.__new__(cls)
        made._root, made._size = root, size
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
        root, grown = _changed(self._root, [(hash(key), key, by) for key, by in changes], 0, change)
        return self._of(root, self._size + grown)

    def changes(self, later: PersistentMap[K, V]) -> Iterator[tuple[K, V | None]]:
        """What it takes to get from here to `later`: keys with their values there, None for those gone."""
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


def _changed(
    node: Node, entries: list[tuple[int, Any, Any]], level: int, change: Callable[[Any, Any], Any]
) -> tuple[Node, int]:
    """The node after the changes to (hash from this level on, key, by), and how many keys it gained."""
    if type(node) is tuple:
        parts: dict[int, list[tuple[int, Any, Any]]] = {}
        for bits, key, by in entries:
            parts.setdefault(bits & _MASK, []).append((bits >> _BITS, key, by))
        children, grown = list(node), 0
        for place, part in parts.items():
            children[place], more = _changed(node[place], part, level + 1, change)
            grown += more
        return tuple(children), grown
    bucket = dict(cast("dict[Any, Any]", node))
    before = len(bucket)
    for _, key, by in entries:
        value = change(bucket.get(key), by)
        if value is not None:
            bucket[key] = value
        else:
            bucket.pop(key, None)
    whole = len(bucket) <= _BUCKET or level == _DEEPEST
    return bucket if whole else _split(bucket, level), len(bucket) - before


def _compare(old: Node, new: Node, found: list[Any]) -> None:
    if type(old) is tuple and type(new) is tuple:
        for before, after in zip(old, new, strict=True):
            if before is not after:
                _compare(before, after, found)
    elif old is not new:
        held, wanted = dict(_items(old)), dict(_items(new))
        found += [(key, value) for key, value in wanted.items() if held.get(key, _ABSENT) != value]
        found += [(key, None) for key in held.keys() - wanted.keys()]
