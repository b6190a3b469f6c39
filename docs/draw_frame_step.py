"""Draws docs/frame_step.svg, the picture of the frame step: `python docs/draw_frame_step.py`."""

from __future__ import annotations

from pathlib import Path

OUT = Path(__file__).parent / "frame_step.svg"
INK, QUIET, LIGHT, HEAVY, STATE = "#1f2933", "#52606d", "#d9e8f7", "#fbe3c4", "#e4efe0"


def box(x: int, y: int, width: int, title: str, line: str, fill: str, height: int = 62) -> str:
    middle = x + width // 2
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="{QUIET}"/>'
        f'<text x="{middle}" y="{y + 26}" font-weight="600">{title}</text>'
        f'<text x="{middle}" y="{y + 46}" font-size="12" fill="{QUIET}">{line}</text>'
    )


def arrow(points: str, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<polyline points="{points}" fill="none" stroke="{INK}" stroke-width="1.6"{dash} marker-end="url(#end)"/>'


def note(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}" font-size="12" fill="{QUIET}">{text}</text>'


def drawing() -> str:
    """The SVG. It has a ground of its own, so that it reads the same in light and dark."""
    parts = [
        box(20, 110, 130, "Frame", "uint8 RGB", LIGHT),
        box(190, 110, 150, "Split", "regions, and half-size", LIGHT),
        box(380, 110, 160, "Flow network", "flow, scale, features", LIGHT),
        box(580, 110, 160, "Decision network", "expected confidence", LIGHT),
        box(780, 110, 130, "Policy", "score against target", LIGHT),
        box(380, 290, 160, "Upsample, merge", "arg max at full size", LIGHT),
        box(190, 290, 150, "Labels", "uint8 class ids", LIGHT),
        box(580, 290, 160, "Warp", "key scores along flow", LIGHT),
        box(780, 290, 130, "Segmentation", "only these regions", HEAVY),
        box(350, 20, 420, "State: each region&#8217;s key image and key scores", "what was segmented last", STATE, 58),
        arrow("150,141 188,141"), arrow("340,141 378,141"), arrow("540,141 578,141"), arrow("740,141 778,141"),
        arrow("845,172 845,288"), note(893, 235, "below target"),
        arrow("800,172 800,230 680,230 680,288"), note(735, 222, "the others"),
        arrow("780,330 742,330"), arrow("580,321 542,321"), arrow("380,321 342,321"),
        arrow("440,78 440,108", True), arrow("640,78 640,108", True),
        arrow("910,321 960,321 960,49 772,49", True), note(985, 190, "becomes"), note(985, 206, "key"),
    ]  # fmt: skip
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1020 380" font-family="system-ui, sans-serif" '
        f'font-size="15" text-anchor="middle" fill="{INK}">'
        '<title>The frame step of DVSNet</title><defs><marker id="end" viewBox="0 0 10 10" refX="9" refY="5" '
        f'markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="{INK}"/></marker>'
        "</defs>"
        '<rect width="1020" height="380" rx="12" fill="#ffffff"/>' + "\n".join(parts) + "</svg>\n"
    )


if __name__ == "__main__":
    OUT.write_text(drawing(), encoding="utf-8")
