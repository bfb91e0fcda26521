"""What a Kafka batch inflates to is bounded, in every codec."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Final

import kafka.codec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_service.ingest.sources.kafka.inflation import BatchTooLarge, inflate

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4


def plain_snappy(data: bytes) -> bytes:
    return bytes(kafka.codec.snappy_encode(data, xerial_compatible=False))


CODECS: Final[dict[str, tuple[int, Callable[[bytes], bytes]]]] = {
    "gzip": (GZIP, kafka.codec.gzip_encode),
    "snappy": (SNAPPY, kafka.codec.snappy_encode),
    "plain snappy": (SNAPPY, plain_snappy),
    "lz4": (LZ4, kafka.codec.lz4_encode),
    "zstd": (ZSTD, kafka.codec.zstd_encode),
}


@given(
    st.binary(min_size=1, max_size=2_000), st.sampled_from(sorted(CODECS)), st.integers(0, 3_000)
)
def test_what_fits_is_inflated_and_what_does_not_is_refused(
    data: bytes, codec: str, most: int
) -> None:
    number, encode = CODECS[codec]
    packed = bytes(encode(data))
    if len(data) <= most:
        assert inflate(number, packed, most) == data
    else:
        with pytest.raises(BatchTooLarge, match=r"limits\.batch_bytes"):
            inflate(number, packed, most)


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_bomb_takes_no_memory(codec: str) -> None:
    number, encode = CODECS[codec]
    packed = bytes(encode(bytes(50_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(BatchTooLarge):
            inflate(number, packed, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_what_is_cut_off_is_an_error_or_a_beginning(codec: str) -> None:
    """Zstd gives what there is; the records that are missing then make the batch a broken one."""
    number, encode = CODECS[codec]
    whole = bytes(range(256)) * 40
    packed = bytes(encode(whole))
    try:
        found = inflate(number, packed[: len(packed) // 2], 10**6)
    except Exception:  # noqa: BLE001  (each codec raises its own)
        return
    assert len(found) < len(whole)
    assert whole.startswith(found)


@given(st.binary(max_size=60), st.sampled_from([GZIP, SNAPPY, LZ4, ZSTD]))
def test_no_bytes_inflate_beyond_the_limit(data: bytes, codec: int) -> None:
    try:
        found = inflate(codec, data, 1_000)
    except Exception:  # noqa: BLE001  (foreign bytes: ``kafka_poison`` takes whatever comes)
        return
    assert len(found) <= 1_000
