"""The report's look: one column of text width, pictures at full width, light and dark as the reader's system is set."""

STYLE = """
:root { color-scheme: light dark; --page: #fbfbfa; --ink: #1d1d1f; --quiet: #6b6b70; --line: #e3e3e0; --card: #ffffff;
  --accent: #2f6db3; --warn: #8a5a00; --warn-back: #fdf3dc; }
@media (prefers-color-scheme: dark) { :root { --page: #161617; --ink: #ececee; --quiet: #9a9aa0; --line: #323235; --card: #1f1f21;
  --accent: #7db3ee; --warn: #f0c674; --warn-back: #33291a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 48px 24px 96px; }
h1 { font-size: 34px; line-height: 1.15; letter-spacing: -0.02em; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 21px; letter-spacing: -0.01em; margin: 56px 0 4px; }
h3 { font-size: 15px; margin: 28px 0 8px; }
p { margin: 4px 0 16px; max-width: 72ch; }
.quiet, figcaption, th { color: var(--quiet); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; margin: 28px 0 0; padding: 0; }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.figures dt { color: var(--quiet); font-size: 13px; }
.figures dd { margin: 2px 0 0; font-size: 24px; letter-spacing: -0.01em; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.figures dd small { font-size: 14px; color: var(--quiet); letter-spacing: 0; }
.warnings { margin: 28px 0 0; padding: 14px 18px 14px 36px; border-radius: 10px; background: var(--warn-back); color: var(--warn); }
.triple { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px; margin: 0 0 6px; }
.triple img, .maps img, .light img { width: 100%; height: auto; display: block; border-radius: 6px; border: 1px solid var(--line); }
.view { margin: 0 0 24px; }
.view figcaption { display: flex; justify-content: space-between; gap: 16px; font-size: 14px; font-variant-numeric: tabular-nums; }
.view figcaption b { color: var(--ink); font-weight: 600; overflow-wrap: anywhere; }
.heads { font-size: 13px; color: var(--quiet); margin-bottom: 4px; }
.ramp { display: inline-flex; align-items: center; gap: 8px; font-size: 13px; color: var(--quiet); margin: 0 0 12px; }
.ramp img { width: 160px; height: 10px; border-radius: 3px; }
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 16px; }
figure { margin: 0; }
figcaption { font-size: 14px; margin-top: 6px; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 16px; }
.curve { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px 12px 8px; }
.curve header { display: flex; justify-content: space-between; gap: 8px; font-size: 13px; }
.curve header span { color: var(--quiet); font-variant-numeric: tabular-nums; white-space: nowrap; }
.curve svg { display: block; width: 100%; height: auto; margin-top: 4px; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .curve-line { fill: none; stroke: var(--accent); stroke-width: 1.75; stroke-linejoin: round; stroke-linecap: round; }
svg .bar { fill: var(--accent); }
svg text { fill: var(--quiet); font: 11px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; width: 100%; }
th { text-align: left; font-weight: 500; }
th, td { padding: 6px 16px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; }
tr.mean td { font-weight: 600; }
.bar { height: 8px; border-radius: 4px; background: var(--accent); min-width: 2px; }
td.wide { width: 50%; vertical-align: middle; }
details summary { cursor: pointer; color: var(--accent); margin: 4px 0 8px; }
@media (max-width: 640px) { main { padding: 28px 14px 64px; } h1 { font-size: 27px; }
  .view figcaption { flex-direction: column; gap: 0; } .triple { gap: 4px; } }
"""
