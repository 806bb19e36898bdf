"""What came out: the figures of all runs in one table, and speed-ups."""

from __future__ import annotations

from erasurehead_cli.report import bars
from erasurehead_cli.report.markup import figure, paragraphs, section, table
from erasurehead_cli.report.material import Material
from erasurehead_cli.results import tables
from erasurehead_cli.results.number_format import seconds, times


def headline(material: Material) -> str:
    """Return what came out, in a sentence."""
    outcomes, comparison = material.comparison.outcomes, material.comparison
    if material.single:
        [outcome], ideal_s = outcomes, material.ideal_mean_s(0)
        said = (
            f"{outcome.rounds} round{'s' * (outcome.rounds != 1)} in {seconds(outcome.wall_s)},"
            f" {seconds(outcome.round_s)} each"
        )
        if ideal_s is not None:
            said += f", {times(outcome.round_s / ideal_s)} the ideal of the drawn delays"
        summary = material.every[0].run.summary
        if summary is None or not summary.verdict:
            return f"{said}."
        return f"{said}. {summary.verdict[0].upper()}{summary.verdict[1:]}."
    name = material.baseline_label
    reached = [n for n, o in enumerate(outcomes) if o.speedup_to_target is not None]
    if reached:
        best = max(reached, key=lambda n: outcomes[n].speedup_to_target or 0.0)
        if material.labels[best] == name:
            others = "no other run did" if len(reached) == 1 else "no other run was faster"
            return (
                f"{name} reached {material.metric_name} {comparison.target:.4f} in"
                f" {seconds(outcomes[best].target_s or 0.0)}, and {others}."
            )
        return (
            f"{material.labels[best]} reached {material.metric_name} {comparison.target:.4f} in"
            f" {seconds(outcomes[best].target_s or 0.0)},"
            f" {times(outcomes[best].speedup_to_target)} as fast as {name}."
        )
    timed = [n for n, o in enumerate(outcomes) if o.speedup_per_round is not None]
    if not timed:
        return f"There is nothing to compare with: {name} has no times that count."
    best = max(timed, key=lambda n: outcomes[n].speedup_per_round or 0.0)
    if material.labels[best] == name:
        return f"A round of {name} took {seconds(outcomes[best].round_s)}, and none was shorter."
    return (
        f"A round of {material.labels[best]} took {seconds(outcomes[best].round_s)},"
        f" {times(outcomes[best].speedup_per_round)} as fast as {name}."
    )


def speed(material: Material) -> str:
    """The figures in one table, and the speed-ups as bars."""
    comparison = material.comparison
    columns = {"run": material.labels, **tables.cells(comparison)}
    del columns["scheme"]
    ideals = [material.ideal_mean_s(n) for n in range(len(material.every))]
    if any(ideal is not None for ideal in ideals):
        columns["ideal round"] = ["-" if i is None else seconds(i) for i in ideals]
        columns["of the ideal"] = [
            times(None if i is None else o.round_s / i)
            for i, o in zip(ideals, comparison.outcomes, strict=True)
        ]
    if material.single:
        for name in ("speed-up", "speed-up a round"):
            columns.pop(name, None)
    content = table(columns, "Every run in figures; times are means over rounds")
    content += paragraphs(
        [
            "Wall clock counts everything from the first round's opening to the end, evaluations"
            " included. The ideal is the moment at which the scheme's own stop rule is content"
            " with the drawn delays of the workers that took part, and the method with what it"
            " waits for, if computing, sending and decoding took no time."
        ],
        "note",
    )
    if material.single:
        return section("speed", "Speed", content)
    drawn = figure(
        "speedup-round",
        "Speed-up a round",
        _speedups(material, [o.speedup_per_round for o in comparison.outcomes], "a round"),
        note=f"mean time of a round, against {material.baseline_label}",
    )
    if comparison.target is not None:
        drawn += figure(
            "speedup-target",
            "Speed-up to the target",
            _speedups(
                material, [o.speedup_to_target for o in comparison.outcomes], "to the target"
            ),
            note=f"wall clock until {material.metric_name} is {comparison.target:.4f}, against"
            f" {material.baseline_label}",
        )
    return section("speed", "Speed", f'{content}<div class="pair">{drawn}</div>')


def _speedups(material: Material, factors: list[float | None], what: str) -> str:
    missing = "not reached" if what == "to the target" else "-"
    return bars.bar_table(
        f"Times as fast as {material.baseline_label} {what}",
        material.labels,
        factors,
        [missing if factor is None else times(factor) for factor in factors],
    )
