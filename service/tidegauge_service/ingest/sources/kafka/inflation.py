"""Compressed bytes of a Kafka batch, inflated up to a limit.

A megabyte of zstd can hold ten gigabytes. kafka-python inflates whole batches whatever their size,
so one hostile or careless producer could take all the memory of every consumer of its topic.
"""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Iterator
from typing import Final

from kafka import codec as codecs
from kafka.record.default_records import DefaultRecordBatch

_XERIAL_HEADER_BYTES: Final = 16
"""Prefix of the blocks in the framing that Java's snappy writes (``kafka.codec``)."""

_BLOCK: Final = struct.Struct(">i")
_VARINT_BYTES: Final = 5


class BatchTooLarge(Exception):  # noqa: N818  (a verdict on the batch; ends in ``kafka_poison``)
    """The batch would take more memory than is allowed."""

    def __init__(self, most: int) -> None:
        super().__init__(f"it decompresses to more than limits.batch_bytes ({most} bytes)")


def inflate(codec: int, data: bytes, most: int) -> bytes:
    """Return the inflated bytes; TooLarge if there are more than *most*.

    *codec*: as in the attributes of a batch. Raises what the codec raises for broken bytes.
    """
    found = _start(codec, data, most)
    if len(found) > most:
        raise BatchTooLarge(most)
    return found


def _start(codec: int, data: bytes, most: int) -> bytes:
    """Return what the bytes inflate to, or the beginning of it, one byte more than *most*."""
    if codec == DefaultRecordBatch.CODEC_GZIP:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return file.read(most + 1)
    if codec == DefaultRecordBatch.CODEC_SNAPPY:
        return _snappy(data, most)
    if codec == DefaultRecordBatch.CODEC_LZ4:
        return _lz4(data, most)
    if codec == DefaultRecordBatch.CODEC_ZSTD:
        decompressor = codecs.zstd.ZstdDecompressor()
        with decompressor.stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
            return bytes(reader.read(most + 1))
    msg = f"unknown compression codec {codec}"
    raise ValueError(msg)


def _lz4(data: bytes, most: int) -> bytes:
    frame = codecs.lz4.LZ4FrameDecompressor()
    found = bytes(frame.decompress(data, max_length=most + 1))
    if not frame.eof and len(found) <= most:
        msg = "the LZ4 frame ends too early"
        raise ValueError(msg)
    return found


def _snappy(data: bytes, most: int) -> bytes:
    """Add up what the blocks say they hold, before one of them is inflated."""
    blocks = list(_xerial(data)) if codecs._detect_xerial_stream(data) else [data]  # noqa: SLF001
    if sum(map(_length, blocks)) > most:
        raise BatchTooLarge(most)
    return b"".join(bytes(codecs.snappy.decompress(block)) for block in blocks)


def _xerial(data: bytes) -> Iterator[bytes]:
    at = _XERIAL_HEADER_BYTES
    while at < len(data):
        [size] = _BLOCK.unpack_from(data, at)
        if size < 0:
            msg = "a snappy block has a negative length"
            raise ValueError(msg)
        at += _BLOCK.size
        yield data[at : at + size]
        at += size


def _length(block: bytes) -> int:
    """Return the size that a block of snappy says it has: a varint in front, 7 bits a byte."""
    length = 0
    for place, byte in enumerate(block[:_VARINT_BYTES]):
        length |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004  (the last byte of a varint)
            return length
    msg = "a snappy block does not state its length"
    raise ValueError(msg)
