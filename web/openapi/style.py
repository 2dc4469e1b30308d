"""How the page looks: light or dark as the reader's machine is, without anything from elsewhere."""

from web.colours import COLOURS

STYLE = (
    COLOURS
    + """\
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;display:grid;grid-template-columns:17rem minmax(0,1fr);background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,sans-serif}
a{color:var(--link);text-decoration:none}
a:hover,a:focus-visible{text-decoration:underline}
nav{position:sticky;top:0;height:100vh;overflow-y:auto;padding:1.25rem;border-right:1px solid var(--line);font-size:.875rem}
nav h2{margin:1.25rem 0 .25rem;font-size:.875rem}
nav ul{margin:0;padding:0;list-style:none}
nav li{padding:.1rem 0}
main{padding:1.25rem 2.5rem 6rem;max-width:62rem}
h1{margin:0 0 1rem;font-size:1.75rem}
h2{margin:3rem 0 1rem;padding-top:.5rem;border-top:1px solid var(--line);font-size:1.35rem}
h3{margin:2.25rem 0 .25rem;font-size:1.05rem}
h4{margin:1rem 0 .35rem;font-size:.875rem;color:var(--faint)}
p{margin:.4rem 0}
code,pre{font-family:ui-monospace,monospace;font-size:.85em}
pre{margin:.4rem 0;padding:.75rem;overflow-x:auto;background:var(--raised);border-radius:6px;line-height:1.45}
table{width:100%;border-collapse:collapse;font-size:.9rem}
th,td{padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{color:var(--faint);font-weight:500}
td:first-child{white-space:nowrap}
td p{margin:0}
td code{overflow-wrap:anywhere}
.scroll{overflow-x:auto}
.route{display:block;overflow-wrap:anywhere;color:var(--faint)}
.method{display:inline-block;min-width:4rem;font-weight:600;color:var(--ink)}
.good{color:var(--good)}
.bad{color:var(--bad)}
.faint{color:var(--faint)}
details>summary{cursor:pointer;color:var(--faint);font-size:.875rem}
@media(max-width:56rem){body{display:block}nav{position:static;height:auto;border-right:0;border-bottom:1px solid var(--line)}
main{padding:1.25rem}}
"""
)
