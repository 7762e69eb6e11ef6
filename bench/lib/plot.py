"""A bar for each proxy, as SVG: nothing but text, so that it can be read in a difference."""

from xml.sax.saxutils import escape

WIDTH, LABEL, VALUE = 720, 130, 150     # of the picture, the names, the figures behind the bars
ROW, BAR, TOP, BOTTOM = 30, 18, 40, 12
OURS, FLOOR, PEERS = "#2563a8", "#c9c9c9", "#8a8f98"


def color(name):
    if name.startswith("weir"):
        return OURS
    return FLOOR if name == "floor" else PEERS


def bar(y, name, value, low, high, text, scale):
    """One row: the median as a bar, all rounds as a line across its end."""
    end, middle = LABEL + value * scale, y + ROW / 2
    left, right = LABEL + low * scale, LABEL + high * scale
    return f"""\
<text x="{LABEL - 8}" y="{middle + 4:.0f}" text-anchor="end">{escape(name)}</text>
<rect x="{LABEL}" y="{middle - BAR / 2:.1f}" width="{end - LABEL:.1f}" height="{BAR}" \
fill="{color(name)}"/>
<path d="M{left:.1f} {middle:.1f}H{right:.1f}M{left:.1f} {middle - 4:.1f}v8M{right:.1f} \
{middle - 4:.1f}v8" stroke="#222" fill="none"/>
<text x="{right + 8:.1f}" y="{middle + 4:.0f}">{escape(text)}</text>
"""


def bars(title, rows):
    """`rows`: (name, median, least, greatest, the figure in words). The SVG's text."""
    greatest = max([high for _, _, _, high, _ in rows] + [0]) or 1
    scale = (WIDTH - LABEL - VALUE) / greatest
    height = TOP + ROW * len(rows) + BOTTOM
    body = "".join(bar(TOP + i * ROW, name, *figures, scale)
                   for i, (name, *figures) in enumerate(rows))
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" \
height="{height}" font-family="sans-serif" font-size="13" fill="#222">
<rect width="{WIDTH}" height="{height}" fill="#fff"/>
<text x="12" y="24" font-size="15">{escape(title)}</text>
{body}</svg>
"""
