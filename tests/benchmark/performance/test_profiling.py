"""What `accord profile` prints."""

from io import StringIO

from rich.console import Console

from accord.benchmark.performance.profiling import profile
from accord.benchmark.performance.scale import Line, load_scale


def test_stages_add_up_to_the_whole_and_functions_are_named() -> None:
    text = StringIO()
    suite = load_scale().model_copy(update={"at_least": 0.02, "budget": "average-0.3"})
    line = Line(method="vdn-augmented", settings={"hidden": [8], "updates": 1})
    profile(suite, line, 6, Console(file=text, width=140))
    lines = [line.strip() for line in text.getvalue().splitlines()]
    shares = {row[0]: float(row[-1]) for row in (line.split() for line in lines) if row and row[-1].isdigit()}
    assert "vdn-augmented, synthetic_6-week/regular-4/average-0.3" in lines[0]
    assert shares["training"] == shares["execution"] == 100
    execution = [float(line.split()[-1]) for line in lines if line.startswith("execution: ")]
    assert len(execution) == 5
    assert 80 <= sum(execution) <= 103
    assert any(".py:" in line for line in lines)  # a function, with its file and line
