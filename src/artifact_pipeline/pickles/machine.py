"""An inert pickle machine: opcodes of protocols 4 and 5 in, plain values and nodes out.

It differs from an unpickler in what it does not have: no import, no call, no attribute set. STACK_GLOBAL gives
a `Label` from a literal table, REDUCE and NEWOBJ give a `Node`, BUILD fills it in. Everything is bounded, and
every opcode that scikit-learn, NumPy and joblib do not write for a logistic regression is refused.
"""

from __future__ import annotations

from dataclasses import replace
from struct import Struct
from typing import TYPE_CHECKING

from artifact_pipeline.pickles.arrays import LABELS, ExportRefusal, Label, Node, joblib_layout, show

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_OPCODES = 1_000_000
_MAX_MEMO = 300_000
_MAX_STACK = 4_096  # picklers write lists and dicts in batches of 1,000 items
_MAX_MARKS = 16
_MAX_TUPLE = 16  # the longest that is written has nine values
_MAX_TEXT = 4_096  # bytes of UTF-8
_MAX_INTEGER = 8  # bytes
_MAX_PADDING = 16  # joblib aligns its arrays to 16 bytes

_PROTO = 0x80
_STOP = 0x2E
_CALLABLE = frozenset({Label.DTYPE, Label.RECONSTRUCT, Label.FROMBUFFER, Label.SCALAR})
_INSTANTIABLE = frozenset({Label.LOGISTIC_REGRESSION, Label.JOBLIB_ARRAY})
_STATE = {
    Label.DTYPE: tuple,
    Label.RECONSTRUCT: tuple,
    Label.LOGISTIC_REGRESSION: dict,
    Label.JOBLIB_ARRAY: dict,
}
ONNX_HINT = "only a plain LogisticRegression is read from a pickle; use the artifact's ONNX model instead"


def interpret(data: bytes) -> object:
    """Read one whole pickle, or plain joblib file, into inert values; anything else raises `ExportRefusal`."""
    stream = _Stream(data)
    stream.begin(hint="write it again by pickle.dump(model, file, protocol=5)")
    value = _Machine(stream).run()
    if stream.left:
        raise ExportRefusal("export-trailing", f"{stream.left:,} bytes follow the end of the pickle")
    return value


class _Stream:
    """The bytes of a pickle, read forward once, never past the end of the file and never across a frame's end."""

    def __init__(self, data: bytes) -> None:
        self.position = 0
        self._data = data
        self._frame_end = 0

    @property
    def in_frame(self) -> bool:
        """Whether the next byte belongs to a frame that has begun."""
        return self.position < self._frame_end

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self.position

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start, end = self.position, self.position + count
        if end > len(self._data):
            raise ExportRefusal("export-truncated", f"ends at byte {len(self._data):,}, in the middle of the pickle")
        if start < self._frame_end < end:
            raise ExportRefusal("export-frame", f"a value crosses the end of its frame at byte {self._frame_end:,}")
        self.position = end
        return self._data[start:end]

    def take_length(self, width: int) -> int:
        """A little-endian length of `width` bytes."""
        return int.from_bytes(self.take(width), "little")

    def begin(self, *, hint: str) -> None:
        """Read PROTO, with which every pickle of protocol 4 and 5 begins; `hint` says how to write another one."""
        opcode, protocol = self.take(2)
        if opcode != _PROTO:
            raise ExportRefusal("export-protocol", "not a pickle of protocol 4 or 5")
        if protocol not in {4, 5}:
            raise ExportRefusal("export-protocol", f"a pickle of protocol {protocol}; 4 and 5 are read", hint=hint)

    def begin_frame(self) -> None:
        """FRAME: the extent that the next opcodes stay in."""
        length = self.take_length(8)
        if self.in_frame:
            raise ExportRefusal("export-frame", f"a frame begins inside another at byte {self.position - 9:,}")
        if length > self.left:
            raise ExportRefusal("export-truncated", f"a frame of {length:,} bytes, and {self.left:,} are left")
        self._frame_end = self.position + length


class _Machine:
    """The stack and the memo of one pickle in a stream; a pickle inside another shares `opcodes_left`."""

    def __init__(self, stream: _Stream, *, opcodes: int = _MAX_OPCODES, nested: bool = False) -> None:
        self.stream = stream
        self.opcodes_left = opcodes
        self._nested = nested
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: list[object] = []

    def run(self) -> object:
        """Read up to STOP, and return the one value that is left."""
        stream, stack = self.stream, self._stack
        while (opcode := stream.take(1)[0]) != _STOP:
            handler = _HANDLERS.get(opcode)
            if handler is None:
                place = stream.position - 1
                raise ExportRefusal("export-opcode", f"the opcode {_opcode_name(opcode)} at byte {place:,} is not read")
            handler(self)
            self.opcodes_left -= 1
            if self.opcodes_left < 0:
                raise ExportRefusal("export-opcode", f"more than {_MAX_OPCODES:,} opcodes")
            if len(stack) > _MAX_STACK:
                raise ExportRefusal("export-depth", f"more than {_MAX_STACK:,} values on the stack")
        if stream.in_frame:
            raise ExportRefusal("export-frame", f"a frame goes on after STOP at byte {stream.position - 1:,}")
        if self._marks or len(stack) != 1:
            raise ExportRefusal("export-stack", f"{len(stack):,} values are left at STOP, not one")
        return stack[0]

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def pop(self) -> object:
        """Take a value from the stack, never one from below the last mark."""
        self._need(1)
        return self._stack.pop()

    def pop_items(self, count: int) -> list[object]:
        """Take the `count` values that were pushed last, in their order."""
        self._need(count)
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def pop_marked(self) -> list[object]:
        """Take every value above the last mark, and the mark."""
        if not self._marks:
            raise self._stack_refusal()
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def top(self) -> object:
        """The value that was pushed last; it stays."""
        self._need(1)
        return self._stack[-1]

    def _need(self, count: int) -> None:
        if len(self._stack) - (self._marks[-1] if self._marks else 0) < count:
            raise self._stack_refusal()

    def _stack_refusal(self) -> ExportRefusal:
        return ExportRefusal(
            "export-stack", f"the opcode before byte {self.stream.position:,} takes more than there is"
        )

    def mark(self) -> None:
        """MARK: what follows belongs together."""
        self._marks.append(len(self._stack))
        if len(self._marks) > _MAX_MARKS:
            raise ExportRefusal("export-depth", f"more than {_MAX_MARKS} containers inside each other")

    def memoize(self) -> None:
        """MEMOIZE: remember the value that was pushed last."""
        if len(self._memo) >= _MAX_MEMO:
            raise ExportRefusal("export-memo", f"more than {_MAX_MEMO:,} values are remembered")
        self._memo.append(self.top())

    def recall(self, width: int) -> None:
        """BINGET and LONG_BINGET: push a remembered value."""
        index = self.stream.take_length(width)
        if index >= len(self._memo):
            raise ExportRefusal("export-memo", f"value {index:,} is recalled, {len(self._memo):,} are remembered")
        self.push(self._memo[index])

    def integer(self) -> None:
        """LONG1: a signed integer."""
        length = self.stream.take_length(1)
        if length > _MAX_INTEGER:
            raise ExportRefusal("export-integer", f"an integer of {length} bytes; at most {_MAX_INTEGER} are read")
        self.push(int.from_bytes(self.stream.take(length), "little", signed=True))

    def text(self, width: int) -> None:
        """SHORT_BINUNICODE and BINUNICODE: a string."""
        length = self.stream.take_length(width)
        if length > _MAX_TEXT:
            raise ExportRefusal("export-string", f"a string of {length:,} bytes; at most {_MAX_TEXT:,} are read")
        try:
            self.push(self.stream.take(length).decode())
        except UnicodeDecodeError:
            raise ExportRefusal(
                "export-string", f"the string before byte {self.stream.position:,} is not UTF-8"
            ) from None

    def tuple_of(self, items: list[object]) -> None:
        """TUPLE and its short forms; a tuple may hold tuples, and these no further ones."""
        if len(items) > _MAX_TUPLE:
            raise ExportRefusal("export-depth", f"a tuple of {len(items):,} values; at most {_MAX_TUPLE} are read")
        for item in items:
            if isinstance(item, tuple) and any(isinstance(inner, tuple) for inner in item):
                raise ExportRefusal("export-depth", f"tuples more than two deep at byte {self.stream.position - 1:,}")
        self.push(tuple(items))

    def append(self, items: list[object]) -> None:
        """APPEND and APPENDS: only the list of feature names is ever written."""
        target = self.top()
        if not isinstance(target, list):
            raise ExportRefusal("export-value", f"{show(target)} is extended as if it were a list")
        for item in items:
            if not isinstance(item, str):
                raise ExportRefusal("export-value", f"a list holds {show(item)}; only strings are read")
        target.extend(items)

    def set_items(self, items: list[object]) -> None:
        """SETITEM and SETITEMS: keys and values by turns."""
        target = self.top()
        if not isinstance(target, dict) or len(items) % 2:
            raise ExportRefusal("export-value", f"{show(target)} is filled as if it were a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int | float):
                raise ExportRefusal("export-value", f"{show(key)} is the key of a dict")
            if key in target:
                raise ExportRefusal("export-value", f"the key {show(key)} stands twice in a dict")
            target[key] = value

    def name(self) -> None:
        """STACK_GLOBAL: a label from the table; everything else is refused, whatever it may be."""
        module, name = self.pop_items(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise ExportRefusal("export-global", f"a global is named by {show(module)} and {show(name)}")
        label = LABELS.get((module, name))
        if label is None:
            full = show(f"{module}.{name}")
            if module.partition(".")[0] == "sklearn" and "." not in name:
                raise ExportRefusal("export-estimator", f"holds {full}, not a LogisticRegression", hint=ONNX_HINT)
            raise ExportRefusal("export-global", f"names {full}, which no logistic regression needs")
        self.push(label)

    def call(self, allowed: frozenset[Label]) -> None:
        """REDUCE and NEWOBJ: describe what would have been called."""
        label, args = self.pop_items(2)
        if not isinstance(label, Label) or label not in allowed or not isinstance(args, tuple):
            raise ExportRefusal("export-call", f"calls {show(label)} with {show(args)}")
        self.push(Node(label, args))

    def build(self) -> None:
        """BUILD: keep the state of a node; joblib writes an array's bytes right behind it."""
        state, node = self.pop(), self.top()
        if not isinstance(node, Node) or node.state is not None:
            raise ExportRefusal("export-call", f"gives a state to {show(node)}")
        if not isinstance(state, _STATE.get(node.label, ())):
            raise ExportRefusal("export-call", f"gives {show(state)} to {show(node)} as its state")
        node.state = state if node.label is not Label.JOBLIB_ARRAY else self._joblib_array(state)

    def _joblib_array(self, state: object) -> object:
        """The array that joblib put into the stream: its bytes, or a pickle of its own if it holds objects."""
        layout, stream = joblib_layout(state), self.stream
        if self._nested or stream.in_frame:
            raise ExportRefusal("export-frame", f"a joblib array inside a frame at byte {stream.position:,}")
        if layout.holds_objects:
            stream.begin(hint="write it again with joblib 1.5 or newer")
            inner = _Machine(stream, opcodes=self.opcodes_left, nested=True)
            value = inner.run()
            self.opcodes_left = inner.opcodes_left
            return value
        if layout.padded:
            length = stream.take_length(1)
            if length > _MAX_PADDING or stream.take(length).strip(b"\xff"):
                raise ExportRefusal("export-array", f"the padding before byte {stream.position:,} is not joblib's")
        return replace(layout, data=stream.take(layout.size))


def _opcode_name(opcode: int) -> str:
    """The opcode as Python's documentation calls it."""
    from pickletools import opcodes

    return next((known.name for known in opcodes if ord(known.code) == opcode), f"0x{opcode:02x}")


def _pusher(value: object) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(value)


def _number(form: str) -> Callable[[_Machine], None]:
    packed = Struct(form)
    return lambda machine: machine.push(packed.unpack(machine.stream.take(packed.size))[0])


def _binary(width: int) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.stream.take(machine.stream.take_length(width)))


_HANDLERS: dict[int, Callable[[_Machine], None]] = {
    0x95: lambda machine: machine.stream.begin_frame(),  # FRAME
    0x28: _Machine.mark,
    0x94: _Machine.memoize,
    0x68: lambda machine: machine.recall(1),  # BINGET
    0x6A: lambda machine: machine.recall(4),  # LONG_BINGET
    0x4E: _pusher(None),  # NONE
    0x88: _pusher(True),  # noqa: FBT003 -- NEWTRUE
    0x89: _pusher(False),  # noqa: FBT003 -- NEWFALSE
    0x4B: _number("<B"),  # BININT1
    0x4D: _number("<H"),  # BININT2
    0x4A: _number("<i"),  # BININT
    0x8A: _Machine.integer,  # LONG1
    0x47: _number(">d"),  # BINFLOAT
    0x8C: lambda machine: machine.text(1),  # SHORT_BINUNICODE
    0x58: lambda machine: machine.text(4),  # BINUNICODE
    0x43: _binary(1),  # SHORT_BINBYTES
    0x42: _binary(4),  # BINBYTES
    0x96: _binary(8),  # BYTEARRAY8
    0x29: _pusher(()),  # EMPTY_TUPLE
    0x85: lambda machine: machine.tuple_of(machine.pop_items(1)),  # TUPLE1
    0x86: lambda machine: machine.tuple_of(machine.pop_items(2)),  # TUPLE2
    0x87: lambda machine: machine.tuple_of(machine.pop_items(3)),  # TUPLE3
    0x74: lambda machine: machine.tuple_of(machine.pop_marked()),  # TUPLE
    0x5D: lambda machine: machine.push([]),  # EMPTY_LIST
    0x61: lambda machine: machine.append(machine.pop_items(1)),  # APPEND
    0x65: lambda machine: machine.append(machine.pop_marked()),  # APPENDS
    0x7D: lambda machine: machine.push({}),  # EMPTY_DICT
    0x73: lambda machine: machine.set_items(machine.pop_items(2)),  # SETITEM
    0x75: lambda machine: machine.set_items(machine.pop_marked()),  # SETITEMS
    0x93: _Machine.name,  # STACK_GLOBAL
    0x52: lambda machine: machine.call(_CALLABLE),  # REDUCE
    0x81: lambda machine: machine.call(_INSTANTIABLE),  # NEWOBJ
    0x62: _Machine.build,  # BUILD
}
