from __future__ import annotations

from erasurehead_cli.console.rows_read import RowsRead


def test_a_line_every_few_seconds_says_how_fast_rows_are_read() -> None:
    """When the table is read once more, its rows are counted from then on."""
    clock = iter([0.0, 1.0, 5.0, 6.0, 7.0, 12.0])
    told: list[str] = []
    reading = RowsRead(told.append, lambda: next(clock))
    for rows in (100_000, 1_000_000, 1_200_000, 50_000, 1_050_000):
        reading(rows)
    assert told == [
        "1,000,000 rows read, 200,000 rows a second",
        "1,050,000 rows read, 210,000 rows a second",
    ]
