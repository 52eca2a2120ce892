"""A pure function of tensors as a flat program of tensor operations, recorded once and run many times.

Transformations such as ``vmap`` and ``grad`` are paid for when the program is recorded: what runs is their result, with neither autograd
nor batching in between. What a transformation leaves behind (reshapes that change nothing, a product and its bias apart, the same
value computed twice) is taken out; a stack of fully connected networks ends as batched products with their biases, ``baddbmm``.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

aten = torch.ops.aten
_RESHAPES = {aten.expand.default, aten.view.default, aten._unsafe_view.default, aten.permute.default}
_INVOLUTIONS = {aten.neg.default, aten.transpose.int}


class _Recordable(TorchFunctionMode):
    """Forms that ``torch.func`` takes well: cross-entropy from logits is softplus(l) - x l, where the built-in one would come apart
    into a dozen operations, and one-hot vectors are comparisons, where the built-in ones look at the values.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        given = {name: value for name, value in (kwargs or {}).items() if value is not None}
        if func is F.binary_cross_entropy_with_logits and len(args) == 2 and given == {"reduction": "none"}:
            logits, target = args
            return F.softplus(logits) - target * logits
        if func is F.one_hot and len(args) == 2:
            chosen, states = args
            return (chosen.unsqueeze(-1) == torch.arange(states, device=chosen.device)).long()
        return func(*args, **(kwargs or {}))


def record(function: Callable[..., Any], *example: Any) -> Callable[..., Any]:
    """``function`` as a program for arguments of the structure and the shapes of ``example``.

    What is no tensor among the arguments is fixed to its value. Raises whatever ``function`` raises where it looks at a tensor's
    values to decide what to do next, or uses something that cannot be transformed.
    """
    with torch.enable_grad(), _Recordable():  # what laws do where no gradient is wanted may look at values
        module = make_fx(function)(*example)
    graph: fx.Graph = module.graph
    if not any(_mutates(node) for node in graph.nodes):
        _simplify(graph)
        graph.lint()
        module.recompile()

    def program(*arguments: Any) -> Any:
        with torch.no_grad():
            return module(*arguments)

    return program


def _mutates(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def _simplify(graph: fx.Graph) -> None:
    for rule in (_same, _undone, _biased):
        for node in list(graph.nodes):
            if node.op == "call_function":
                rule(graph, node)
    _share(graph)
    graph.eliminate_dead_code()


def _replace(graph: fx.Graph, node: fx.Node, by: fx.Node) -> None:
    node.replace_all_uses_with(by)
    graph.erase_node(node)


def _value(node: Any) -> Tensor | None:
    found = node.meta.get("val") if isinstance(node, fx.Node) else None
    return found if isinstance(found, Tensor) else None


def _same(graph: fx.Graph, node: fx.Node) -> None:
    """A reshape to the shape that is there already; a product with 1."""
    before, after = _value(node.args[0] if node.args else None), _value(node)
    if before is None or after is None or before.shape != after.shape or before.dtype != after.dtype:
        return
    reshaped = node.target in _RESHAPES and before.stride() == after.stride()
    if reshaped or (node.target is aten.mul.Scalar and node.args[1] == 1):
        _replace(graph, node, node.args[0])  # type: ignore[arg-type]


def _undone(graph: fx.Graph, node: fx.Node) -> None:
    """An operation that undoes the one before."""
    inner = node.args[0] if node.target in _INVOLUTIONS else None
    if isinstance(inner, fx.Node) and inner.target is node.target and inner.args[1:] == node.args[1:]:
        _replace(graph, node, inner.args[0])  # type: ignore[arg-type]


def _biased(graph: fx.Graph, node: fx.Node) -> None:
    """A batched product and the sum that adds its bias."""
    if node.target is not aten.add.Tensor or node.kwargs:
        return
    for bias, product in (node.args, node.args[::-1]):
        wanted = _value(product)
        if not isinstance(product, fx.Node) or product.target is not aten.bmm.default or len(product.users) > 1:
            continue
        given, result = _value(bias), _value(node)
        if given is None or wanted is None or result is None or wanted.shape != result.shape or given.dtype != wanted.dtype:
            continue
        with graph.inserting_before(node):
            whole = graph.call_function(aten.baddbmm.default, (bias, *product.args))
        whole.meta = node.meta
        _replace(graph, node, whole)
        return


def _share(graph: fx.Graph) -> None:
    """The same operation on the same values, done once."""
    seen: dict[str, fx.Node] = {}
    for node in list(graph.nodes):
        if node.op == "call_function":
            key = f"{node.target}{node.args}{node.kwargs}"
            if key in seen:
                _replace(graph, node, seen[key])
            else:
                seen[key] = node
