"""A word and a figure as a picture, for READMEs and other pages."""

from fastapi import Response
from markupsafe import escape

# It is somebody else's page that shows it, so it says nothing but its figure and loads nothing.
HEADERS = {
    "Cache-Control": "no-cache, max-age=60",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
LETTER, ROOM, HEIGHT = 6.6, 14, 20
# From which share on; they are read on a light and on a dark page, so they are of a middle lightness.
COLOURS = ((0.9, "#2b7a3d"), (0.75, "#5b7d1f"), (0.5, "#9a6a00"), (0.0, "#b3372f"))
UNKNOWN = "#5c6066"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img"'
    ' aria-label="{word}: {figure}"><title>{word}: {figure}</title>'
    '<clipPath id="r"><rect width="{width}" height="{height}" rx="4"/></clipPath>'
    '<g clip-path="url(#r)"><rect width="{left}" height="{height}" fill="#3a3f45"/>'
    '<rect x="{left}" width="{right}" height="{height}" fill="{colour}"/></g>'
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
    '<text x="{left_middle}" y="14">{word}</text><text x="{right_middle}" y="14">{figure}</text></g></svg>'
)


def answer(word: str, share: float | None) -> Response:
    return Response(drawn(word, share), headers=HEADERS, media_type="image/svg+xml")


def drawn(word: str, share: float | None) -> str:
    """Never rounded up to all of it."""
    figure = "unknown" if share is None else f"{int(share * 1000) / 10:g} %"
    left, right = (round(len(text) * LETTER) + ROOM for text in (word, figure))
    return SVG.format(
        word=escape(word),
        figure=figure,
        width=left + right,
        height=HEIGHT,
        left=left,
        right=right,
        left_middle=left / 2,
        right_middle=left + right / 2,
        colour=colour_of(share),
    )


def colour_of(share: float | None) -> str:
    if share is None:
        return UNKNOWN
    return next(colour for least, colour in COLOURS if share >= least)
