"""The colours of every page: light or dark as the reader's machine is."""

COLOURS = """\
:root{color-scheme:light dark;--ink:light-dark(#1c2126,#dfe3e7);--faint:light-dark(#5b6670,#98a3ad);
--paper:light-dark(#fff,#14181c);--raised:light-dark(#f5f6f8,#1d2328);--line:light-dark(#dde1e6,#333b43);
--link:light-dark(#0b5cad,#7ab8ff);--good:light-dark(#1a6b35,#7fd39a);--bad:light-dark(#a3261d,#ff9d94)}
"""
