"""How the page looks, down to 375 px."""

from web.colours import COLOURS

STYLE = (
    COLOURS
    + """\
*{box-sizing:border-box}
[hidden]{display:none}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:40rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{margin:0 0 1rem;font-size:1.75rem}
a{color:var(--link)}
label{display:block;margin:1rem 0 .25rem;font-weight:500}
input{width:100%;padding:.5rem .6rem;font:inherit;color:inherit;background:var(--raised);border:1px solid var(--line);
border-radius:6px}
input[aria-invalid=true]{border-color:var(--bad)}
button,.button{display:inline-block;padding:.55rem 1rem;font:inherit;font-weight:500;color:var(--paper);background:var(--link);border:0;border-radius:6px;
cursor:pointer;text-decoration:none}
button:disabled{opacity:.6;cursor:default}
code,pre{font-family:ui-monospace,monospace;font-size:.85em}
code{overflow-wrap:anywhere}
pre{padding:.75rem;overflow-x:auto;background:var(--raised);border-radius:6px;line-height:1.45}
.good{color:var(--good)}
.bad{color:var(--bad);white-space:pre-line;overflow-wrap:anywhere}
"""
)
