"""`\\pm`: two values written as one."""

from __future__ import annotations

from verifiers.expression.tree.node import Matrix, Node, PlusMinus, Relation, Sequence, contains, negated
from verifiers.expression.tree.tree_map import map_children

MAX_ITEMS = 200


def expanded(node: Node) -> Node:
    """`1 +- x` as the bare list `1 + x, 1 - x`; signs that belong together change together."""
    if not contains(node, PlusMinus) or isinstance(node, Matrix):
        return node
    if isinstance(node, Sequence):
        items: list[Node] = []
        for item in node.items[:MAX_ITEMS]:
            inner = expanded(item)
            spread = isinstance(inner, Sequence) and inner.brackets == "" and node.brackets in ("", "{}")
            items.extend(inner.items if isinstance(inner, Sequence) and spread else (inner,))
        return Sequence(node.brackets, tuple(items))
    if isinstance(node, Relation):
        if not node.named or len(node.operands) != 2:
            return node
        inner = expanded(node.operands[1])
        if node.operators != ("=",) and isinstance(inner, Sequence):  # x != +-3
            name = node.operands[0]
            return Sequence("", tuple(Relation((name, item), node.operators, True) for item in inner.items))
        return inner if isinstance(inner, Sequence) else node
    return Sequence("", (_signed(node, 1), _signed(node, -1)))


def _signed(node: Node, sign: int) -> Node:
    if isinstance(node, PlusMinus):
        item = _signed(node.item, sign)
        return item if node.sign * sign > 0 else negated(item)
    return map_children(node, lambda child: _signed(child, sign))
