"""What a reader of a figure needs: text that is large enough, inside the figure, and not over other text."""

from itertools import combinations

from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

SMALLEST = 7  # points


def check_text(figure: Figure) -> None:
    """Every text is at least `SMALLEST` points, without exponents, lies in the figure, and touches no other text."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    beyond = {label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in _beyond(axis)}
    every = [text for text in figure.findobj(Text) if isinstance(text, Text) and text not in beyond]
    shown = [text for text in every if text.get_visible() and text.get_text().strip()]
    boxes = {}
    for text in shown:
        words = text.get_text()
        assert text.get_fontsize() >= SMALLEST, words
        assert "$" not in words, f"{words}: exponents are smaller than the text"
        boxes[text] = box = text.get_window_extent(canvas.get_renderer())
        width, height = canvas.get_width_height()
        assert -1 <= box.x0 <= box.x1 <= width + 1, f"{words} is cut"
        assert -1 <= box.y0 <= box.y1 <= height + 1, f"{words} is cut"
    for one, other in combinations(shown, 2):
        assert not boxes[one].padded(-1).overlaps(boxes[other].padded(-1)), f"{one.get_text()} over {other.get_text()}"


def _beyond(axis: Axis) -> list[Text]:
    """Labels of ticks outside of the axis, which matplotlib does not draw."""
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [label for tick in ticks if not low <= tick.get_loc() <= high for label in (tick.label1, tick.label2)]
