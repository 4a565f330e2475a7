"""What every figure has in common."""

from pathlib import Path

from accord.benchmark.figures.canvas import panels_of, save, shared_legend, style


def test_dollars_in_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    with style():
        figure, (axes,) = panels_of("suite $a$", [r"district_$\frac$/ring"])  # as a formula this cannot be drawn
        axes.plot([0, 1], [0, 1], label="method_$_b$")
        shared_legend(figure, [axes], "cost in $ or $")
    assert all(path.stat().st_size > 0 for path in save(figure, tmp_path / "figure"))
