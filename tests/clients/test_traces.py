from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3sim.clients.traces import read_trace
from l3sim.errors import InvalidInput

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"
ROW = "2023-11-16 18:17:03.9799600,4808,10"
TRACES = Path(__file__).parents[3] / "shared" / "data" / "traces"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_times_are_exact_and_lines_are_those_of_the_file(tmp_path: Path) -> None:
    text = f"{HEADER}\n{ROW}\n2023-11-16 18:17:04.0319600,3180,8\n2023-11-16 18:18:04.0319601,110,27"
    requests = read_trace(write(tmp_path, "t.csv", text))
    assert requests.arrival_ps.tolist() == [0, 52_000_000_000, 60_052_000_100_000]
    assert requests.prompt.tolist() == [4808, 3180, 110]
    assert requests.output.tolist() == [10, 8, 27]
    assert requests.line.tolist() == [2, 3, 4]
    columns = (requests.prompt, requests.output, requests.arrival_ps, requests.line)
    assert {column.dtype for column in columns} == {np.dtype(np.int64)}
    assert (requests.priority, requests.limit) == (None, None)


def test_json_lines_have_priorities_and_limits(tmp_path: Path) -> None:
    lines = (
        '{"prompt_tokens": 5, "output_tokens": 9, "priority": 3}\n'
        '{"prompt_tokens": 6, "output_tokens": 8, "max_output_tokens": 4}\n'
    )
    requests = read_trace(write(tmp_path, "t.jsonl", lines))
    assert requests.priority is not None
    assert requests.limit is not None
    assert requests.priority.tolist() == [3, 0]
    assert requests.limit.tolist() == [100_000_000, 4]
    assert requests.output.tolist() == [9, 8]


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("priority", 10, "priority must be a whole number from 0 to 9, got 10"),
        ("priority", -1, "priority must be a whole number from 0 to 9, got -1"),
        ("priority", "true", "priority must be a whole number from 0 to 9, got True"),
        ("max_output_tokens", 0, "max_output_tokens must be a whole number from 1 to 100000000, got 0"),
    ],
)
def test_priorities_and_limits_out_of_range(tmp_path: Path, key: str, value: object, text: str) -> None:
    path = write(tmp_path, "t.jsonl", f'{{"prompt_tokens": 5, "output_tokens": 9, "{key}": {value}}}\n')
    with pytest.raises(InvalidInput) as refused:
        read_trace(path)
    assert str(refused.value) == f"{path}:1: {text}"


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{ROW}",
        f"{HEADER}\n{ROW}\n",
        f"{HEADER}\r\n{ROW}\r\n",
        f"\ufeff{HEADER}\n{ROW}\n\n",
        f"Extra,{HEADER}\nx,{ROW}\n",
        f"{HEADER}\n12.5,4808,10\n",
        f"{HEADER}\n2023-11-16T18:17:03+00:00,4808,10\n",
    ],
)
def test_csv_forms_that_are_one_request(tmp_path: Path, text: str) -> None:
    requests = read_trace(write(tmp_path, "t.csv", text))
    assert (requests.prompt[0], requests.output[0], requests.arrival_ps[0], len(requests)) == (4808, 10, 0, 1)


def test_zones_are_honoured(tmp_path: Path) -> None:
    text = f"{HEADER}\n2024-05-10 00:00:00+00:00,1,1\n2024-05-10 02:00:01+02:00,1,1\n"
    assert read_trace(write(tmp_path, "t.csv", text)).arrival_ps.tolist() == [0, 10**12]


@pytest.mark.parametrize(
    ("lines", "arrivals"),
    [
        (['{"arrival_s": 0.1, %s}', '{"arrival_s": 0.3, %s}'], [0, 200_000_000_000]),
        (['{"arrival_s": 7, %s}', '{"arrival_s": 7.0000000000005, %s}'], [0, 1]),
        (['{"arrival_s": 1e-3, %s}', '{"arrival_s": 2e-3, "model": "x", %s}'], [0, 10**9]),
        (['{"timestamp": 1700158623.97996, %s}', '{"timestamp": 1700158623.979961, %s}'], [0, 10**6]),
        (
            ['{"timestamp": "2023-11-16 18:17:03.1", %s}', '{"timestamp": "2023-11-16 18:17:03.2", %s}'],
            [0, 10**11],
        ),
        (["{%s}", "{%s}"], [0, 0]),
    ],
)
def test_json_lines(tmp_path: Path, lines: list[str], arrivals: list[int]) -> None:
    text = "\n".join(line % '"prompt_tokens": 12, "output_tokens": 34' for line in lines)
    for name in ("t.jsonl", "trace-without-suffix"):
        requests = read_trace(write(tmp_path, name, text))
        assert requests.arrival_ps.tolist() == arrivals
        assert requests.prompt.tolist() == [12, 12]
        assert requests.output.tolist() == [34, 34]
        assert requests.line.tolist() == [1, 2]


def test_prefixes_are_numbered_as_they_appear(tmp_path: Path) -> None:
    sizes = '"prompt_tokens": 12, "output_tokens": 34'
    names = ['"prefix_id": "system", "prefix_tokens": 12', '"prefix_id": 7, "prefix_tokens": 1', ""]
    lines = [f"{{{sizes}{', ' if name else ''}{name}}}" for name in [*names, names[0].replace("12", "3")]]
    prefixes = read_trace(write(tmp_path, "t.jsonl", "\n".join(lines))).prefixes
    assert prefixes is not None
    assert (prefixes.number.tolist(), prefixes.tokens.tolist()) == ([1, 2, 0, 1], [12, 1, 0, 3])
    assert read_trace(write(tmp_path, "t.jsonl", lines[2])).prefixes is None
    assert read_trace(write(tmp_path, "t.csv", f"{HEADER}\n{ROW}")).prefixes is None


def test_a_line_may_have_everything(tmp_path: Path) -> None:
    extras = '"priority": 3, "max_output_tokens": 4, "prefix_id": "system", "prefix_tokens": 2'
    line = f'{{"arrival_s": 0.5, "prompt_tokens": 5, "output_tokens": 9, {extras}}}'
    requests = read_trace(write(tmp_path, "t.jsonl", line))
    assert requests.priority is not None
    assert requests.limit is not None
    assert requests.prefixes is not None
    assert (requests.priority.tolist(), requests.limit.tolist()) == ([3], [4])
    assert (requests.prefixes.number.tolist(), requests.prefixes.tokens.tolist()) == ([1], [2])


WHOLE = "must be a whole number from 1 to 100000000, got"
TIME = "TIMESTAMP must be a time like 2023-11-16 18:17:03.9799600 or seconds like 12.5, got"
NEEDS = f"(needs {HEADER})"
MALFORMED_CSV: list[tuple[str | bytes, int, str]] = [
    ("", 1, "the file is empty"),
    ("\n\n", 1, "the file is empty"),
    (HEADER, 1, "no requests below the header"),
    ("time,in,out\n1,2,3", 1, f"wrong header: no column TIMESTAMP, ContextTokens, GeneratedTokens {NEEDS}"),
    ("TIMESTAMP,ContextTokens\n1,2", 1, f"wrong header: no column GeneratedTokens {NEEDS}"),
    (f"{HEADER}\n{ROW}\n2023-11-16 18:17:04.03,3180", 3, "has 2 columns, the header has 3"),
    (f"{HEADER}\n{ROW},1", 2, "has 4 columns, the header has 3"),
    (f"{HEADER}\n{ROW}\n\n{ROW}", 3, "has 1 columns, the header has 3"),
    (f"{HEADER}\n1,abc,10", 2, f"ContextTokens {WHOLE} 'abc'"),
    (f"{HEADER}\n1,10,", 2, f"GeneratedTokens {WHOLE} ''"),
    (f"{HEADER}\n1,10,1.5", 2, f"GeneratedTokens {WHOLE} '1.5'"),
    (f"{HEADER}\n1,1_0,5", 2, f"ContextTokens {WHOLE} '1_0'"),
    (f"{HEADER}\n1,\u0663,5", 2, f"ContextTokens {WHOLE} '\u0663'"),
    (f"{HEADER}\n1,-3,10", 2, f"ContextTokens {WHOLE} '-3'"),
    (f"{HEADER}\n1,0,10", 2, f"ContextTokens {WHOLE} 0"),
    (f"{HEADER}\n1,10,100000001", 2, f"GeneratedTokens {WHOLE} 100000001"),
    (f"{HEADER}\n1,10,{'9' * 60}", 2, f"GeneratedTokens {WHOLE} '{'9' * 39}..."),
    (f"{HEADER}\nyesterday,1,1", 2, f"{TIME} 'yesterday'"),
    (f"{HEADER}\nnan,1,1", 2, f"{TIME} 'nan'"),
    (f"{HEADER}\n,1,1", 2, f"{TIME} ''"),
    (
        f"{HEADER}\n2023-13-16 18:17:03,1,1",
        2,
        "TIMESTAMP must be a time that exists, got '2023-13-16T18:17:03'",
    ),
    (
        f"{HEADER}\n1955-11-05 06:15:00,1,1",
        2,
        "TIMESTAMP must be a time from 1970 on, got '1955-11-05T06:15:00'",
    ),
    (f"{HEADER}\n-1.5,1,1", 2, "TIMESTAMP must be 0 to 1000000000000 seconds, got -1.5"),
    (f"{HEADER}\n1e300,1,1", 2, "TIMESTAMP must be 0 to 1000000000000 seconds, got 1E+300"),
    (
        f"{HEADER}\n{'1' * 50},1,1",
        2,
        f"TIMESTAMP must be a time of at most 40 characters, got '{'1' * 40}'...",
    ),
    (f"{HEADER}\n0,1,1\n1000001,1,1", 3, "TIMESTAMP is more than 1000000 s after the first one"),
    (f"{HEADER}\n5,1,1\n6,1,1\n5.5,1,1", 4, "TIMESTAMP is before the one above it; sort the trace by time"),
    (f"{HEADER}\n5,1,1\n4,1,1", 3, "TIMESTAMP is before the one above it; sort the trace by time"),
    (f"{HEADER}\n1,1,1\n".encode() + b"2,\xff,1\n", 3, "is not UTF-8 text"),
]


@pytest.mark.parametrize(("content", "line", "message"), MALFORMED_CSV)
def test_malformed_csv(tmp_path: Path, content: str | bytes, line: int, message: str) -> None:
    path = write(tmp_path, "t.csv", content)
    with pytest.raises(InvalidInput) as caught:
        read_trace(path)
    assert str(caught.value) == f"{path}:{line}: {message}"


GOOD = '{"arrival_s": 1, "prompt_tokens": 2, "output_tokens": 3}\n'
MALFORMED_JSON: list[tuple[str, int, str]] = [
    (" \n", 1, "the file is empty"),
    (GOOD + "{", 2, "is not JSON: Input data was truncated"),
    (GOOD + "\n" + GOOD, 2, "is not JSON: Input data was truncated"),
    ("[1, 2]", 1, "must be a JSON object with prompt_tokens and output_tokens"),
    ('{"output_tokens": 3}', 1, "has no prompt_tokens"),
    ('{"prompt_tokens": 3}', 1, "has no output_tokens"),
    ('{"prompt_tokens": "3", "output_tokens": 3}', 1, f"prompt_tokens {WHOLE} '3'"),
    ('{"prompt_tokens": 3.5, "output_tokens": 3}', 1, f"prompt_tokens {WHOLE} 3.5"),
    ('{"prompt_tokens": true, "output_tokens": 3}', 1, f"prompt_tokens {WHOLE} True"),
    ('{"prompt_tokens": 3, "output_tokens": null}', 1, f"output_tokens {WHOLE} None"),
    ('{"prompt_tokens": -3, "output_tokens": 3}', 1, f"prompt_tokens {WHOLE} -3"),
    ('{"prompt_tokens": 3, "output_tokens": 0}', 1, f"output_tokens {WHOLE} 0"),
    ('{"prompt_tokens": 3, "output_tokens": 1e12}', 1, f"output_tokens {WHOLE} 1e12"),
    (GOOD + '{"prompt_tokens": 3, "output_tokens": 3}', 2, "has no time where line 1 has arrival_s"),
    (GOOD.replace("arrival_s", "timestamp") + GOOD, 2, "has arrival_s where line 1 has timestamp"),
    ('{"arrival_s": 1, "timestamp": 1, "prompt_tokens": 3}', 1, "has both arrival_s and timestamp; keep one"),
    (GOOD.replace("1", '"1"'), 1, "arrival_s must be a number of seconds, got '1'"),
    (GOOD.replace("1", "null"), 1, "arrival_s must be a number of seconds, got None"),
    (GOOD.replace("1", "-1"), 1, "arrival_s must be 0 to 1000000000000 seconds, got -1"),
    (GOOD.replace("}", ', "prefix_id": 1}'), 1, "has no prefix_tokens"),
    (GOOD.replace("}", ', "prefix_tokens": 1}'), 1, "has no prefix_id"),
    (
        GOOD.replace("}", ', "prefix_id": true, "prefix_tokens": 1}'),
        1,
        "prefix_id must be text or a whole number, got True",
    ),
    (GOOD.replace("}", ', "prefix_id": 1, "prefix_tokens": 0}'), 1, f"prefix_tokens {WHOLE} 0"),
    (
        GOOD.replace("}", ', "prefix_id": 1, "prefix_tokens": 3}'),
        1,
        "prefix_tokens must be at most prompt_tokens (2), got 3",
    ),
    (GOOD + GOOD.replace("1", "0.5"), 2, "arrival_s is before the one above it; sort the trace by time"),
]


@pytest.mark.parametrize(("content", "line", "message"), MALFORMED_JSON)
def test_malformed_json_lines(tmp_path: Path, content: str, line: int, message: str) -> None:
    path = write(tmp_path, "t.jsonl", content)
    with pytest.raises(InvalidInput) as caught:
        read_trace(path)
    assert str(caught.value) == f"{path}:{line}: {message}"


def test_a_limit_takes_the_first_and_reads_no_further(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", f"{HEADER}\n0,1,1\n1,2,2\nbroken")
    assert read_trace(path, 2).prompt.tolist() == [1, 2]
    with pytest.raises(InvalidInput, match=r"t\.csv:4: has 1 columns"):
        read_trace(path, 3)


def test_a_limit_above_the_trace_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", f"{HEADER}\n0,1,1")
    with pytest.raises(InvalidInput) as caught:
        read_trace(path, 2)
    assert str(caught.value) == f"workload.requests: {path} has 1 requests, fewer than 2"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"^workload: no trace file '.*absent\.csv'$"):
        read_trace(tmp_path / "absent.csv")
    with pytest.raises(InvalidInput, match=r"^workload: '.*' is a folder, not a trace file$"):
        read_trace(tmp_path)


@given(times=st.lists(st.integers(0, 10**18), min_size=1, max_size=20).map(sorted))
def test_both_forms_give_back_every_picosecond(
    times: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("traces")
    seconds = [f"{time // 10**12}.{time % 10**12:012}" for time in times]
    as_csv = write(folder, "t.csv", "\n".join([HEADER, *(f"{text},1,1" for text in seconds)]))
    objects = (f'{{"arrival_s": {text}, "prompt_tokens": 1, "output_tokens": 1}}' for text in seconds)
    as_json = write(folder, "t.jsonl", "\n".join(objects))
    expected = [time - times[0] for time in times]
    assert read_trace(as_csv).arrival_ps.tolist() == expected
    assert read_trace(as_json).arrival_ps.tolist() == expected


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count", "prompt", "output", "last_ps"),
    [
        ("AzureLLMInferenceTrace_conv.csv", 19_366, 374, 44, 3_501_721_937_000_000),
        ("AzureLLMInferenceTrace_code.csv", 8_819, 4808, 10, 3_435_948_056_000_000),
    ],
)
def test_the_azure_traces_are_read_whole(
    name: str, count: int, prompt: int, output: int, last_ps: int
) -> None:
    path = TRACES / name
    if not path.is_file():
        pytest.skip(f"the shared data set is not here (no {name})")
    requests = read_trace(path)
    assert len(requests) == count
    assert (requests.prompt[0], requests.output[0]) == (prompt, output)
    assert (requests.arrival_ps[0], requests.arrival_ps[-1]) == (0, last_ps)
    assert requests.line[-1] == count + 1
    # Seven decimals of a second: every time is a multiple of 100 ns.
    assert not np.any(requests.arrival_ps % 100_000)
