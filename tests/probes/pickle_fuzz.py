"""Pickles that nobody meant: mutations of a saved LabelModel, and programs of random opcodes.

`python -m tests.probes.pickle_fuzz 100000 [SEED]` runs so many, and says how many were read.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import random
import resource
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Final

from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model.snorkel import snorkel_model, snorkel_pickle

SAVED: Final = (Path(__file__).parent / "snorkel_model" / "label_model.pkl").read_bytes()

NAMES: Final = (
    *(f"{module} {name}" for module, name in snorkel_pickle._CALLED),
    *("torch FloatStorage", "snorkel.x LabelModel", "os system", "builtins eval", "numpy load"),
)
TEXTS: Final = ("f8", "i4", "O8", "V16", "?", "<", ">", "|", "C", "F", "mu", "p", "O", "n", "")
NUMBERS: Final = (0, 1, 2, 3, 8, 16, 255)


def opcodes() -> list[bytes]:
    """Return the opcodes of the saved model, each with its argument."""
    places = [place for _, _, place in pickletools.genops(SAVED) if place is not None]
    return [SAVED[a:b] for a, b in zip(places, [*places[1:], len(SAVED)], strict=True)]


OPCODES: Final = opcodes()


def mutated(chance: random.Random) -> bytes:
    """Return the saved model with bytes changed, left out or put in."""
    content = bytearray(SAVED)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(content))
        match chance.randrange(4):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + chance.randint(1, 40)]
            case 2:
                content[at:at] = chance.randbytes(chance.randint(1, 8))
            case _:
                content[at] ^= 1 << chance.randrange(8)
    return bytes(content)


def spliced(chance: random.Random) -> bytes:
    """Return the saved model with whole opcodes moved, doubled, left out or put in."""
    found = list(OPCODES)
    for _ in range(chance.randint(1, 10)):
        at = chance.randrange(len(found))
        match chance.randrange(4):
            case 0:
                del found[at]
            case 1:
                found.insert(at, chance.choice(found))
            case 2:
                other = chance.randrange(len(found))
                found[at], found[other] = found[other], found[at]
            case _:
                found.insert(at, one(chance))
    return b"".join(found)


def one(chance: random.Random) -> bytes:
    """Return an opcode with an argument that a file like this may have."""
    n = chance.choice(NUMBERS)
    text = chance.choice(TEXTS).encode()
    module, name = chance.choice(NAMES).split(" ")
    argued = (
        b"c" + f"{module}\n{name}\n".encode(),
        b"K" + bytes([n]),
        b"J" + chance.randbytes(4),
        b"\x8a\x01" + bytes([n]),
        b"\x8c" + bytes([len(text)]) + text,
        b"C" + bytes([n]) + chance.randbytes(n),
        b"h" + bytes([chance.randrange(8)]),
        b"q" + bytes([chance.randrange(8)]),
        b"r" + chance.choice((b"\xff\xff\xff\x7f", b"\0\0\0\0")),
        b"B" + (70).to_bytes(4, "little") + chance.randbytes(70),
    )
    return chance.choice((*argued, *PLAIN, *PLAIN))


PLAIN: Final = tuple(
    bytes([code])
    for code in b"(012N]})tlduseaRbQ\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98"
)


def generated(chance: random.Random) -> bytes:
    """Return a program of random opcodes; mostly one that makes an array and changes it."""
    start = chance.choice(
        (b"\x80\x04", b"\x80\x04}\x94", b"\x80\x02cnumpy\ndtype\nX\x02\0\0\0f8\x85R")
    )
    return start + b"".join(one(chance) for _ in range(chance.randint(1, 60))) + b"."


KINDS: Final = (mutated, spliced, generated)


def run(programs: int, seed: int) -> Counter[str]:
    """Read and import so many; whatever is raised but BaselineError is a fault, and raised here."""
    chance = random.Random(seed)
    found: Counter[str] = Counter()
    for i in range(programs):
        content = KINDS[i % len(KINDS)](chance)
        began = time.process_time()
        try:
            snorkel_model.label_model(snorkel_pickle.read(content))
        except BaselineError:
            found["refused"] += 1
        else:
            found["read"] += 1
        found["slow"] += time.process_time() - began > 1
    return found


def nested(levels: int) -> bytes:
    """Return a tuple that holds another twice, and so on; as the key of a dictionary."""
    return b"\x80\x04}" + b")" + b"2\x86" * levels + b"Ns."


def deep(levels: int) -> bytes:
    """Return a tuple in a tuple in a tuple; as the key of a dictionary."""
    return b"\x80\x04}" + b")" + b"\x85" * levels + b"Ns."


def array(dtype_state: object, shape: tuple[int, ...], data: bytes, code: str = "f8") -> bytes:
    """Return {"p": array} with what is given put into numpy's pickle of one."""
    out = io.BytesIO()
    out.write(b"\x80\x04}X\x01\0\0\0pcnumpy.core.multiarray\n_reconstruct\n")
    out.write(b"cnumpy\nndarray\nK\0\x85C\x01b\x87R(K\x01")
    out.write(_value(shape))
    out.write(b"cnumpy\ndtype\n" + _value(code) + b"\x89\x88\x87R" + _value(dtype_state) + b"b")
    out.write(b"\x89" + _value(data) + b"tbs.")
    return out.getvalue()


def _value(value: object) -> bytes:
    """Return the opcodes of a value, without header and end."""
    content = pickle.dumps(value, protocol=3)[2:-1]
    return b"".join(part for part in _parts(content) if part[:1] != b"q")


def _parts(content: bytes) -> list[bytes]:
    whole = content + b"."
    places = [place for _, _, place in pickletools.genops(whole) if place is not None]
    return [whole[a:b] for a, b in pairwise(places)]


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    sys.stdout.write(f"{run(int(sys.argv[1]), seed)}\n")
