"""The text of a scheme: shorthands, the long form, round trips and errors."""

from __future__ import annotations

import pytest

from erasurehead.errors import UsageError
from erasurehead.schemes.text import parse, shortest, spelt_out, tidied


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("uncoded", "uncoded / first-copy:scale=coverage / exact"),
        ("uncoded:r=20", "uncoded / first-copy:scale=coverage / fraction:r=20"),
        ("egc:c=3", "frc:c=3 / first-copy:scale=coverage / exact"),
        ("agc:c=3,r=11", "frc:c=3 / first-copy:scale=coverage / fraction:r=11"),
        (
            "agc:c=3,delta=0.37,scale=unbiased",
            "frc:c=3 / first-copy:scale=unbiased / fraction:delta=0.37",
        ),
        ("agc:c=3,deadline_s=0.2", "frc:c=3 / first-copy:scale=coverage / deadline:after_s=0.2"),
        (
            "agc:c=3,r=11,cache=svrg:every=9",
            "frc:c=3 / first-copy:scale=coverage / fraction:r=11 / svrg:every=9",
        ),
        ("cached", "frc / first-copy:scale=coverage / fraction:delta=0.1,least=2 / sag"),
        ("cached:r=4", "frc / first-copy:scale=coverage / fraction:r=4 / sag"),
        ("uncoded:cache=sag", "uncoded / first-copy:scale=coverage / exact / sag"),
        ("cyclic-mds:s=3", "cyclic-mds:s=3 / least-squares / exact"),
        ("graph:d=3 / residual:epsilon=0.1", "graph:d=3 / component / residual:epsilon=0.1"),
        ("osgc:p=0.1/0.2 / fraction:r=1", "osgc:p=0.1/0.2 / fixed / fraction:r=1"),
    ],
)
def test_shorthands_and_round_trips(short: str, long: str) -> None:
    scheme = parse(short)
    assert tidied(short) == short
    assert spelt_out(scheme) == long
    assert parse(long) == scheme
    assert hash(parse(long)) == hash(scheme)
    assert parse(shortest(scheme)) == scheme


def test_a_text_is_tidied_and_otherwise_kept() -> None:
    assert tidied(" agc: c=3,  r=11 ") == "agc:c=3,r=11"
    assert tidied("frc:c=3   /  exact") == "frc:c=3 / exact"


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("frc:c=2 / first-copy:scale=coverage / exact", "egc:c=2"),
        ("frc:c=2 / first-copy:scale=coverage / fraction:r=3 / saga", "agc:c=2,r=3,cache=saga"),
        ("frc:c=2 / first-copy:scale=none / fraction:r=3", "agc:c=2,r=3,scale=none"),
        ("frc:c=2 / first-copy:scale=none / fraction:delta=0.5", "agc:c=2,delta=0.5,scale=none"),
        ("uncoded / first-copy:scale=coverage / deadline:after_s=0.2", "uncoded:deadline_s=0.2"),
        ("uncoded / first-copy:scale=coverage / deadline:after_s=2", "uncoded:deadline_s=2"),
        (
            "uncoded / first-copy:scale=coverage / fraction:r=2 / svrg:every=20",
            "uncoded:r=2,cache=svrg:every=20",
        ),
        ("uncoded / first-copy:scale=coverage / exact / sum", "uncoded"),
        ("frc / first-copy:scale=coverage / fraction:delta=0.1,least=2 / sag", "cached"),
        ("frc / first-copy:scale=coverage / fraction:delta=0.3,least=2 / sag", "cached:delta=0.3"),
        ("frc / first-copy:scale=coverage / fraction:delta=0.1,least=3 / sag", None),
        ("frc / first-copy:scale=coverage / exact", None),
        ("frc:c=2 / first-copy:scale=group / exact", None),
        ("frc:c=2 / first-copy:scale=group,p=0.3 / fraction:r=2", None),
        ("frc:c=2,groups=balanced / first-copy:scale=coverage / exact", None),
        ("frc:c=2 / first-copy:scale=coverage / deadline:after_s=2,minimum=3", None),
        ("frc:c=2 / first-copy:scale=coverage / adaptive", None),
        ("frc:c=2 / first-copy / fraction:r=3", None),
        ("graph:d=2 / component / exact", None),
    ],
)
def test_a_scheme_goes_by_its_shortest_name(long: str, short: str | None) -> None:
    found = shortest(parse(long))
    assert found == (short or long)
    assert shortest(parse(found)) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agd:c=3", "did you mean 'agc'"),
        ("cyclc-mds:s=2", "did you mean 'cyclic-mds'"),
        ("frc:c=2/exact", "spaces around the slash before 'exact'"),
        ("graph:d=3 /component / exact", "spaces around the slash before 'component'"),
        ("agc:c=3", "needs r, delta or deadline_s"),
        ("agc:c=3,r=3,delta=0.5", "one rule"),
        ("egc", "needs c"),
        ("frc:c=3 / first-copy", "is a decoder"),
        ("frc:c=3 / first-copi / exact", "did you mean 'first-copy'"),
        ("osgc:p=0.3", "say when to stop"),
        ("frc:c=3 / first-copy / exact / sagga", "did you mean 'saga'"),
        ("agc:c=3,r=11,cache=sagga", "did you mean 'saga'"),
        ("frc:c=3 / first-copy / exact / sum / sum", "5 parts"),
        ("", "names nothing"),
        ("egc:c=2 / fraction:r=5", "'egc:c=2' is short .* 'frc:c=2 / first-copy / fr"),
        ("agc:c=3,r=5 / sag", "'agc:c=3,r=5' is short for a whole scheme"),
        (
            "frc:c=2 / fraction:r=2 / saga",
            "'fraction:r=2' is a stop rule and stands where a decoder belongs; .*"
            "'frc:c=2 / first-copy:scale=coverage / fraction:r=2 / saga'",
        ),
        ("frc:c=2 / exact / first-copy", "'exact' is a stop rule .*'frc:c=2 / first-copy / exact'"),
        (
            "frc:c=2 / first-copy / saga",
            "where a stop rule belongs; .* / fraction:delta=0.5 / saga'",
        ),
        ("uncoded:r=2 / saga", "'saga' is a gradient estimate .*'uncoded:r=2,cache=saga'"),
        ("frc:c=3 /", "nothing before its first slash or after its last one"),
    ],
)
def test_bad_texts_are_one_sentence(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(text)
