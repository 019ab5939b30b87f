"""Pickles that must never do anything here: hostile ones, and good ones that other versions have written.

`MALICIOUS` builds each hostile sample for a canary path. Those in `FIRES` create that file if a real unpickler
reads them; the others ask for memory, for a crash, or for something that only the reader's own code could give.
"""

from __future__ import annotations

import base64
import gzip
import io
import os
import pickle
import zlib
from struct import pack
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROTO, MARK, STOP, FRAME = b"\x80\x05", b"(", b".", b"\x95"
EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE = b")", b"\x85", b"\x86", b"\x87", b"t"
EMPTY_LIST, APPEND, APPENDS, EMPTY_DICT, SETITEMS = b"]", b"a", b"e", b"}", b"u"
REDUCE, NEWOBJ, NEWOBJ_EX, BUILD, MEMOIZE = b"R", b"\x81", b"\x92", b"b", b"\x94"
CODE = 0x7F  # of the extension registry, free in every Python


def literal(value: object) -> bytes:
    """The opcodes of a plain value, or of a tuple of them."""
    match value:
        case None | True | False:
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        case int():
            return b"\x8a\x08" + pack("<q", value)
        case float():
            return b"G" + pack(">d", value)
        case str():
            return b"X" + pack("<I", len(value.encode())) + value.encode()
        case bytes():
            return b"B" + pack("<I", len(value)) + value
        case tuple():
            return MARK + b"".join(map(literal, value)) + TUPLE
    raise TypeError(value)


def named(module: str, attribute: str) -> bytes:
    """STACK_GLOBAL."""
    return literal(module) + literal(attribute) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    """REDUCE."""
    return function + MARK + b"".join(arguments) + TUPLE + REDUCE


_ESTIMATOR = named("sklearn.linear_model._logistic", "LogisticRegression")
_RUN = named("numpy.testing._private.utils", "runstring")


def dtype(code: str, state: tuple[object, ...]) -> bytes:
    """A numpy.dtype."""
    return call(named("numpy", "dtype"), *map(literal, (code, False, True))) + literal(state) + BUILD


def array(values: np.ndarray) -> bytes:
    """An array of numbers, as protocol 4 writes it."""
    code = values.dtype.str.lstrip("<|")
    order = values.dtype.str[0]
    described = dtype(code, (3, order, None, None, None, -1, -1, 0))
    fortran = not values.flags.c_contiguous
    return reconstructed(described, values.shape, literal(values.tobytes("A")), fortran=fortran)


def reconstructed(described: bytes, shape: tuple[int, ...], data: bytes, *, fortran: bool = False) -> bytes:
    """`_reconstruct`, and its state."""
    function = named("numpy._core.multiarray", "_reconstruct")
    node = call(function, named("numpy", "ndarray"), literal((0,)), literal(b"b"))
    return node + MARK + literal(1) + literal(shape) + described + literal(fortran) + data + TUPLE + BUILD


def estimator(**replaced: bytes) -> bytes:
    """A whole pickle of `small_model()`, in which some attributes are other opcodes."""
    items = {name: _attribute(value) for name, value in small_model().__getstate__().items()} | replaced
    state = EMPTY_DICT + MARK + b"".join(literal(name) + value for name, value in items.items()) + SETITEMS
    return _whole(_ESTIMATOR + EMPTY_TUPLE + NEWOBJ + state + BUILD)


def _attribute(value: object) -> bytes:
    return array(value) if isinstance(value, np.ndarray) else literal(value)


def small_model(**parameters: Any) -> LogisticRegression:
    """A fitted estimator without the fit: three classes, two features, Fortran order as lbfgs leaves it."""
    model = LogisticRegression(**parameters)
    model.n_features_in_ = 2
    model.classes_ = np.array([0, 1, 2])
    model.n_iter_ = np.array([7], dtype=np.int32)
    model.coef_ = np.asfortranarray([[0.5, -1.25], [0.1, 3.0], [-0.6, -1.75]])
    model.intercept_ = np.array([0.25, -0.5, 1e-300])
    return model


def changed_model(**attributes: object) -> LogisticRegression:
    """`small_model()` with some attributes replaced or added."""
    model = small_model()
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


def dumped(value: object, **options: Any) -> bytes:
    """What `joblib.dump` writes."""
    buffer = io.BytesIO()
    joblib.dump(value, buffer, **options)
    return buffer.getvalue()


class Payload:
    """Pickles as a call of `os.system`."""

    def __init__(self, canary: Path) -> None:
        self._command = _command(canary)

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (self._command,)


def _command(canary: Path) -> str:
    return f"touch '{canary}'"


def _source(canary: Path) -> bytes:
    return literal(f"open({str(canary)!r}, 'w').close()")


def _system(canary: Path) -> bytes:
    """The function, and its argument in a tuple, on the stack."""
    return named("os", "system") + literal((_command(canary),))


def _whole(body: bytes) -> bytes:
    return PROTO + body + STOP


def _getattr(canary: Path) -> bytes:
    module = call(named("builtins", "__import__"), literal("os"))
    function = call(named("builtins", "getattr"), module, literal("system"))
    return _whole(call(function, literal(_command(canary))))


def _attrgetter(canary: Path) -> bytes:
    module = call(named("importlib", "import_module"), literal("os"))
    getter = call(named("operator", "attrgetter"), literal("system"))
    return _whole(call(call(getter, module), literal(_command(canary))))


def _methodcaller(canary: Path) -> bytes:
    caller = call(named("operator", "methodcaller"), literal("system"), literal(_command(canary)))
    return _whole(call(caller, call(named("importlib", "import_module"), literal("os"))))


def _partial(canary: Path) -> bytes:
    partial = call(named("functools", "partial"), named("os", "system"), literal(_command(canary)))
    return _whole(call(partial))


def _setstate(canary: Path) -> bytes:
    partial = named("functools", "partial") + named("builtins", "print") + TUPLE1 + NEWOBJ
    state = MARK + _system(canary) + EMPTY_DICT + literal(None) + TUPLE
    return _whole(call(partial + state + BUILD))


def _newobj(canary: Path) -> bytes:
    """`bytes` exhausts a `map` of `os.system` over one command; both are only made, not called."""
    lazy = named("builtins", "map") + _system(canary) + TUPLE2 + NEWOBJ
    return _whole(named("builtins", "bytes") + lazy + TUPLE1 + NEWOBJ)


def _newobj_ex(canary: Path) -> bytes:
    lazy = named("builtins", "map") + _system(canary) + TUPLE2 + EMPTY_DICT + NEWOBJ_EX
    return _whole(named("builtins", "bytes") + lazy + TUPLE1 + EMPTY_DICT + NEWOBJ_EX)


def _extension(canary: Path) -> bytes:
    arguments = literal("os"), literal("system"), literal(CODE)
    registered = call(named("copyreg", "add_extension"), *arguments)
    return _whole(registered + b"\x82" + bytes([CODE]) + literal((_command(canary),)) + REDUCE)


def _dotted(canary: Path) -> bytes:
    """A module that is allowed, and a way out of it."""
    run = named("sklearn.linear_model._logistic", "np.testing._private.utils.runstring")
    return _whole(call(run, _source(canary), EMPTY_DICT))


def _joblib_object_array(canary: Path) -> bytes:
    return dumped(changed_model(classes_=np.array([Payload(canary), "b", "c"], dtype=object)))


def _array_of_calls(canary: Path) -> bytes:
    """A known array, one of whose values is a call."""
    values = EMPTY_LIST + call(named("os", "system"), literal(_command(canary))) + APPEND
    return estimator(feature_names_in_=reconstructed(_objects(), (1,), values))


def _objects() -> bytes:
    return dtype("O8", (3, "|", None, None, None, -1, -1, 63))


_POINTERS = literal(24 * b"A")


def _pointers_by_ndarray(_: Path) -> bytes:
    """File bytes as object pointers: the crash that even an exact allow-list lets through."""
    return estimator(classes_=call(named("numpy", "ndarray"), literal((3,)), literal("O"), _POINTERS))


def _pointers_by_reconstruct(_: Path) -> bytes:
    return estimator(classes_=reconstructed(_objects(), (3,), _POINTERS))


def _pointers_by_frombuffer(_: Path) -> bytes:
    function = named("numpy._core.numeric", "_frombuffer")
    return estimator(classes_=call(function, _POINTERS, _objects(), literal((3,)), literal("C")))


def _pointers_as_names(_: Path) -> bytes:
    return estimator(feature_names_in_=reconstructed(_objects(), (3,), _POINTERS))


def _dtype_of_fields(_: Path) -> bytes:
    fields = EMPTY_LIST + literal(("x", "O")) + APPEND
    described = call(named("numpy", "dtype"), fields, literal(False), literal(True))  # noqa: FBT003
    return estimator(coef_=reconstructed(described, (3, 2), _POINTERS))


def _laughs(grow: bytes) -> bytes:
    """Each value holds the one before twice: 2**40 leaves in a few hundred bytes."""
    levels = [grow.replace(b"?", b"h" + bytes([index])) + MEMOIZE for index in range(40)]
    return _whole(EMPTY_TUPLE + MEMOIZE + b"".join(levels))


def _frame(length: int, body: bytes) -> bytes:
    return PROTO + FRAME + pack("<Q", length) + body


_FIRING: dict[str, Callable[[Path], bytes]] = {
    "reduce of os.system": lambda canary: _whole(_system(canary) + REDUCE),
    "reduce by a plain pickle": lambda canary: pickle.dumps(Payload(canary)),
    "eval": lambda canary: _whole(call(named("builtins", "eval"), _source(canary))),
    "exec": lambda canary: _whole(call(named("builtins", "exec"), _source(canary))),
    "getattr of an imported module": _getattr,
    "operator.attrgetter": _attrgetter,
    "operator.methodcaller": _methodcaller,
    "functools.partial": _partial,
    "build by __setstate__": _setstate,
    "newobj of map and bytes": _newobj,
    "newobj_ex of map and bytes": _newobj_ex,
    "global": lambda canary: _whole(b"cos\nsystem\n" + literal((_command(canary),)) + REDUCE),
    "inst": lambda canary: _whole(MARK + literal(_command(canary)) + b"ios\nsystem\n"),
    "obj": lambda canary: _whole(MARK + b"csubprocess\ngetoutput\n" + literal(_command(canary)) + b"o"),
    "copyreg and the extension registry": _extension,
    "dotted way out of a known module": _dotted,
    "numpy's own exec": lambda canary: _whole(call(_RUN, _source(canary), EMPTY_DICT)),
    "hidden in a parameter": lambda canary: pickle.dumps(small_model(class_weight=Payload(canary)), 5),
    "hidden in an attribute": lambda canary: pickle.dumps(changed_model(notes_=Payload(canary)), 4),
    "hidden in an attribute of a joblib file": lambda canary: dumped(changed_model(notes_=Payload(canary))),
    "array of calls": _array_of_calls,
    "joblib array of objects": _joblib_object_array,
    "joblib compressed by zlib": lambda canary: dumped(Payload(canary), compress=("zlib", 3)),
    "joblib compressed by gzip": lambda canary: gzip.compress(dumped(Payload(canary)), mtime=0),
    "joblib compressed by bz2": lambda canary: dumped(Payload(canary), compress=("bz2", 3)),
    "joblib compressed by lzma": lambda canary: dumped(Payload(canary), compress=("lzma", 3)),
    "joblib compressed by xz": lambda canary: dumped(Payload(canary), compress=("xz", 3)),
}
_SILENT: dict[str, Callable[[Path], bytes]] = {
    "newobj_ex of a known class": lambda _: _whole(_ESTIMATOR + EMPTY_TUPLE + EMPTY_DICT + NEWOBJ_EX),
    "extension code": lambda _: _whole(b"\x82" + bytes([CODE]) + EMPTY_TUPLE + REDUCE),
    "persistent id": lambda canary: _whole(b"P" + os.fsencode(canary) + b"\n"),
    "binary persistent id": lambda canary: _whole(literal(str(canary)) + b"Q"),
    "out-of-band buffer": lambda _: _whole(b"\x97"),
    "raw pointers by numpy.ndarray": _pointers_by_ndarray,
    "raw pointers by _reconstruct": _pointers_by_reconstruct,
    "raw pointers by _frombuffer": _pointers_by_frombuffer,
    "raw pointers as column names": _pointers_as_names,
    "dtype with fields": _dtype_of_fields,
    "billion laughs of tuples": lambda _: _laughs(b"??" + TUPLE2),
    "billion laughs of lists": lambda _: _laughs(EMPTY_LIST + MARK + b"??" + APPENDS),
    "deep tuples": lambda _: _whole(EMPTY_TUPLE + 100_000 * TUPLE1),
    "deep marks": lambda _: _whole(100_000 * MARK + EMPTY_TUPLE),
    "deep lists": lambda _: _whole(100_000 * EMPTY_LIST + 99_999 * APPEND),
    "long tuple": lambda _: _whole(MARK + 4_000 * EMPTY_TUPLE + TUPLE),
    "endless memo": lambda _: _whole(b"N" + 400_000 * MEMOIZE),
    "endless opcodes": lambda _: _whole(EMPTY_LIST + 600_000 * (MARK + APPENDS)),
    "recalled before it is remembered": lambda _: _whole(b"j\xff\xff\xff\xff"),
    "integer of two gigabytes": lambda _: _whole(b"\x8b\xff\xff\xff\x7f"),
    "integer of 255 bytes": lambda _: _whole(b"\x8a\xff" + 255 * b"\x7f"),
    "bytes of eight exabytes": lambda _: _whole(b"\x8e" + pack("<Q", 2**63 - 1)),
    "bytearray of eight exabytes": lambda _: _whole(b"\x96" + pack("<Q", 2**63 - 1)),
    "string of four gigabytes": lambda _: _whole(b"X\xff\xff\xff\xff"),
    "frame past the end": lambda _: _frame(2**63, literal(None) + STOP),
    "frame inside a frame": lambda _: _frame(12, FRAME + pack("<Q", 2) + b"N" + STOP + b"NN"),
    "frame that cuts a value": lambda _: _frame(5, literal(1.5) + STOP),
    "frame that goes on after stop": lambda _: _frame(4, b"N" + STOP + b"NN"),
    "nothing on the stack": lambda _: _whole(REDUCE),
    "another estimator": lambda _: pickle.dumps(RandomForestClassifier(), 5),
}

MALICIOUS = {**_FIRING, **_SILENT}
FIRES = frozenset(_FIRING)
"""The samples that execute code when they are truly unpickled."""


def _packed(*lines: str) -> bytes:
    return zlib.decompress(base64.b85decode("".join(lines)))


WRITTEN_ELSEWHERE = {
    "joblib 1.1.1": _packed(
        r"c-oCqJ!lj`6u#fwc|=LH5G9F5i6&?c0}?|BoRT8yhARRhCdDwjJ9o1>x4X>Dd0r9FA|}xRLEp7nh?Pw`%TrssG@@Xmhy)uUm4!bq>t2k",
        r"cap2p1Z}+|Leecc8?M&-KG7&8^pl%38rC$`Dk8e^7TqcS{1XWLI&jGW4Ha6#2RWhZ#z=uaLat9V+*yKXyQ=yw+3N8yJbEsx6nB+9fl)l",
        r"9k@?wlgs=WYa67ez_w@wADnzRlCh8`aO__c3()a<Qzns~lu(qW;771O)z5am#mSOqI-x*b84A`RwMxrVaomehBH8c`a{qu-?hag#|fSz",
        r"%YI3QWF6ZxIifz;aCvf7yXzU?ohUL1mODHLB_I$@Rci$gs~R6-IR(8%8|@tdz+|MbQUy0HcIw7yWuIY?9D(aD-rb%UkXRDQWYnq+y8Fw",
        r"&#>rbvw#OO;Hw@obS@DSPU{*#c7Cw(o1Lu(#2GsGg((R@hk7|SQweQau!xsmSGNtt+Yu_LAhMEdaR6<*I=6h6(VSmT8)OVQny_kwL~z4",
        r"htP-yB8azPBZeRQEvvIXIX@Z~0e<LD2fU9T;YY3H67XX@$B*+Nlk#>*;Ug&I@-JM`!%CnWehM}0`G+^_1gx@)HEpHt?%=IV{0HyTwI5U",
        r"WM7z{K`Y`ikDf{xo^TFYBU)D>PX5F_B7PIGP57HOcUcYZIKYO(>KM<B$r#l)7f6vq|A=~XuMnwkKe$IbdSZ{AU-W(sAeAm8z^83Zio6n",
        r"`zK!>b{#P^5bsfzA~$&M8#if5p17k>jvB|Y!",
    ),
    "joblib 1.5.3, data frame": _packed(
        r"c-oDWOK1~87{{|o^B}f0vFO1^!HZV3YYSR>5P}4(xHW}}_9VmX?j*aqFJ@+~L4^wT1#@aA2qFp<dlHXc16I&m@o^C^qT<Di2d_2GZnAA",
        r"+DLRLp$Ig8J|NQ2gndz#XkH^Bo`pI<*LF~wu>4+NGu8u4jSZ>86)YLfJGu~=Wq6$WYn6AT@`LVnF4j*7?4>{1HRnD?H@-WgMMLK6vk+Z",
        r"#yZ+lf)b1{-_-=ZeO7>bE0qCpE{5rZYeDWcYC)kDEZygbSm7v}jSA5aoZI>Sq)(uIa7;YW#4t`;**=bsCFPRwH&YZzciO_z_wT7`A#KD",
        r"78EOHkM1V}<=AUw#}c4zixINrCB5gf-+*zQFRE9T2!OoeEbZ)~#8P5HO9*ia~jabz|u0t_=tkyA%BsajhE&3*VMnt`K3thBtvJB5_4$Y",
        r"4J;S3F1nOWv3wy*I_E$q#SU~Rf&j@FC$2OjDQ1eM1&>4S)cf4nW`Kz0iLOebKxvs3c6<lbW<359>QDjGsIUztK8Vd(vIE)9B?HD6g-vq",
        r"tZ2Jf7mJK^MA_(J@re$~xBsGC5R_RKT9!KvY#VyQ`hljaPyq-~6~{&n1!|Qd!j+t_&LnI1Bl<g?d^ZpY;yQ$4U!(2k-{xJ3&GMq8@}@Z",
        r"{*n*L0Pmq6GU%V>VNKk~W;I$WPj}b>=RIX`}zg`El_&3ojah3@=ias}vH0c`0jN`@$B_Z@>BW;`vu$gVzMt*y08mAYGk$^^TqoYK5DYf",
        r"d>-HX*GB1>r}%%5%YQiuGh|CHa|Dc=ZgOl>gIN@^}DZ{MgApNq6|n~{>?`hD*YeVaO0FN`lgefZ&4qi)~_Gpp+#>u(17HZEQC>MI*d^S",
        r"R$|3;ycL&%>-ys0~G0*{ut<GubV<RMYSGiLXmf%-8i-?_T~odhb)=`Q?=>&mOJUYyDB&9B4gTK-{+QNn*)ic~l<azAFC#+3)(<",
    ),
    "protocol 4, data frame": _packed(
        r"c-n<iO=uHA6wW4T5^5`{q7+fVgS0)kv>?)hu!n#Jx28~0Pclq)C)v@-Y?zsCEh<#7KY=+l&x?pc#h%2Y*MJrDR{Xh$7g6!z#e>&cC!4L",
        r"m72jdszS+0m_s#ca=CikEGO0N9VR@MmEV#`mHyPDKpD-J-utue#9_T%j$?G(!2_hv8IkaHp23&_>oo^71nVJLL>yw5c9#+H$ZIwXp<59",
        r"gaXM3R_c0FQ>Vj-|;%t;S3EDVP3iCawe)m(#gR?^jRXf7|oGz_~LZJmU2xqN!dMEr153M!>SSNS^!7EPZnurVaCq9IJAlF(T{!VH=^qe",
        r"2D~&Vdu}KOZa|)BRPd5ao&pk2Dl4>wzBy>Zqc;2Ck+1Jcgx2vxL?H1!dhQF!#eclFIDP)HxZl86u2sR;kvckx<815H(2P`Z{kuRYFO?P",
        r"3hiQEaLx!GHP-hT?#AGAPiIqR*@ix<2sQ>5`v(h`;aj(<Wh;qQ^t*8m(Fv)Yg@~}EkMbtK-V10O)o&uuhUb%8FuXt!yIE+^P(A)g+b?Q",
        r"V*T;@Jp#n6>fIbAD!KyPv@XOOH#G!DgP{&#FtSaT>C(|(=z@X2r_(GAZco8VayrS-Va@Z{sGS(BgyH!A7_x<Jv>q=c)g9Hk=|u>N&C=-",
        r"pSBE}cIMsG0TMzEMzPi;8#O?XDjW_M*!+ST+o@umKH&>R5-(EP;+Ul1hddrD%dw-sbe^_Cl2R}`HSh-K1wV%Fx@^$FuTj$Za)$<SUZnR",
        r"^FB1$e6GUp+_G`eTZ9=As!s@UHFB|c~p",
    ),
    "protocol 5": _packed(
        r"c-nnaJ!lj`6u#f&j8UQ>{w5Ic=Tc-zP?I2$6RwE5;fjETNiods&fc!h?Hn_+#uNc9&g67JFwc})h?Pw`%TrssG@_*<5^Myk6#l&1EHRY",
        r">-_AVV?)QD~?VEeWrz81HvdoaW%^8)E#lr}9(hwfw7U7~EDjm9D4$r2?IaZfUsZd0)1|#=j8Oo-&$s)@25|}=ZH6?SYW*(Sq6=o_wQiT",
        r"#9Cz9$=z)U7xrr^btL)+xF;P~o^iO=6pRY%PMKhz|QG?OlCYFIUgb_1eZiWci&XHCD$sZwN-h4nx~&Gbted7?p-MtO{Tl;C%m1XJXWUs",
        r"qsC4SJV^$ON`$dNJh)#lX&(zC|jN@1#aIJrTJj9EA)ABjPivV=Nf`5U_Kml!#)CEs5erbIEdrWELKo?DlCt@ug@uvG1eI8kE<^(qcV?L",
        r"@-2%(1=BZNb_4MqBKU^2|w<hUTQKVGr1cVpuM^Rb5OSPCOZwaTFoA?3wB9^W9M5*%QdD=Z<G{DAUIxLFQk<Fy0pQd$%T7pf?*`N{s&j`",
        r"urpn%Yzu<Z2~p7%%*SGn>?yVpa~)DCDVpmi_`5}<w2WPi9)pvp?d>Gju(vI!W*ykk%G!B5_aJfLPyOFPyE^t_<Ja^<-l+_ZJ}EqJ72lk",
        r"FHC&$jwpqD0>wS2<T)Z-Sl)k?C?o(&w<=ch%p=JdOcTC^ENrB*eaItG3nB0}e;BvcqY<T1M{FjBz&epS^6K5`c>^wTReYNoZ>kh>LN$&",
        r"!|2}$PM6vwS8YYbw?`U`TEG6V",
    ),
}
"""Files by scikit-learn 1.8.0 and NumPy 1.26.4, which stand for those that others have."""

OLD_JOBLIB_NAMES = _packed(
    r"c-oCrO^6gn6rSmso*6r<?y8WW%ZkC^#9-rs=n{m9C>U&+g}Jy<LQ&maGu>KU-SsnW1{BO;bvG0UT62xJTypWG$4&Goc<>UEV<hC@Maap",
    r"6*}UoLS+h!l@6h#L)vNb?@2C1kb@-}W%0<t~E0kctTpBZ2QIdv)x`?K|SgJTMde`|v?U0@zQpPDWcg?5Yn(L;i>ltB~s)5l?NHReJtVn",
    r"2d`LsFPdRZVe=sXfw#i==4DnwVqKBi_(S5!*Db?@=tU(B99qPKTrg<__N2uP;Ps-D?2kPI+T>>01Drvi$lM9U=ZMas1Gl)x-Z6C@SDgI",
    r"$v;y-I}9HubwbX>=pO-=G*G886gzIPz0Tj91dmG8Xwgp@2<|q06Z+A;L_TVAU4{F`N(yl#tQ8;f%(<%lb(+Kv^6>;f$VXkIYj-;K2ofv",
    r"kWjctJ9EuKc@;z@>@pNS%^oz;G}IC;S6Y4E1;($gsV|q+o2l3ZZtd5z|&e>Fl(!~Ovg06iY{L>?RNXz21x$#TFUs^!IY-UC`oVzsq7oG",
    r"%&`y@uE!F>6!Hg(NaIcS{To)0ySPCrh@14OigRZNK^IddmFNe`;ia*cQ_yyJ*(<GZD?kCvNgy4<MvB8LOQV7Ed3C7<D}{Emd2Zk2wGOY",
    r"};*Ad9*7VAdDR+v1d2SB>V95gi#RWbE`SI-?z5_DMV_oAr-_DXx`)gnGnPz^D`L3lptUdAg!Q*>`?<R`x@!cVr%-9ZwiY|^D=vlgvcLQ",
    r"t_eKhV-v@e>A_Is5T6CH@^(Z|t2ZN*!Pee$hhm!R0u;nnD~Q5Egc*2ZM4i#JuWigma+;ZkS$_`QQ$-hzAV4Q_Poe^7UBY?W<Wu<Rfu-F",
    r"GwetegMB>Mpz|Rt0v3_g|m<j;^<6kKC!=Td{vy{189<>d|lOPk;FN(#5%~b@0an%@cn<Yn?kE{&M@e{l)O;gp2d${r-2!&uoI##`)~O|",
    r"M$h`m!7TbL$AK9KKY~d;`_gjfAaaS>%+N8+-X$&wh%n#{FkKdd3V7*YWlwW50_!uod",
)
"""joblib 1.4.2 on a data frame: the column names are a pickle of protocol 2 inside the file."""
