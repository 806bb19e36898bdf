"""The parts of a report, each a function from `Material` to HTML."""

from erasurehead_cli.report.sections.arrivals import arrivals
from erasurehead_cli.report.sections.decoding import decoding
from erasurehead_cli.report.sections.learning import learning
from erasurehead_cli.report.sections.phases import phases
from erasurehead_cli.report.sections.round_times import round_times
from erasurehead_cli.report.sections.settings import settings
from erasurehead_cli.report.sections.stragglers import stragglers
from erasurehead_cli.report.sections.summary import headline, speed

PARTS = (speed, learning, round_times, arrivals, stragglers, decoding, phases, settings)

__all__ = ["PARTS", "headline"]
