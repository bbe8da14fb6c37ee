"""Text that programs garbled is sent as it is, and said."""

from __future__ import annotations

import pytest

from bulk.rows.traces import trace_in, traces_possible


@pytest.mark.parametrize(
    ("text", "trace"),
    [
        ("无线模块".encode().decode("gb18030"), "read in another encoding"),
        ("Größe".encode().decode("cp1252"), "read in another encoding"),
        ("naïve café".encode().decode("latin-1"), "read in another encoding"),
        ("Wi-Fi &amp; BLE", "HTML"),
        ("&#27169;&#22359;", "HTML"),
        ("one<br>two", "HTML"),
        ("\\u6a21\\u5757", "escapes"),
        ("one_x000D_", "escapes"),
        ("锟斤拷", "lost"),
        ("Gr\ufffdße", "lost"),
        ("????", "lost"),
    ],
)
def test_text_that_a_program_garbled_is_noticed(text: str, trace: str) -> None:
    assert trace in (trace_in(text) or "")
    assert traces_possible(f"a sound text{text}another")


@pytest.mark.parametrize(
    "text",
    [
        "Wi-Fi & BLE",
        "a < b",
        "what??",
        "Größe 3 µm ±1 °C",
        "Ça va, Élan",
        "无线模块，主控",
        "無線通信 門鎖 鋁",
        "灯👍🏽",
        "→ x",
    ],
)
def test_text_that_is_sound_is_not_noticed(text: str) -> None:
    assert trace_in(text) is None
