"""What stands on the page. Its addresses are relative, so that it works behind a proxy that adds a path."""

PAGE = """\
<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Set up Interlock</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="stylesheet" href="setup.css">
<script src="setup.js" defer></script></head><body><main>
<h1>Set up Interlock</h1>
<form id="form" method="post">
<p>This makes the first account. It owns the first organization.</p>
<noscript><p class="bad">This page needs JavaScript. On the server's machine, <code>interlock admin setup</code> does
the same.</p></noscript>
<label for="orgName">Organization</label>
<input id="orgName" name="orgName" required maxlength="200" autocomplete="organization">
<label for="name">Your name</label>
<input id="name" name="name" required maxlength="200" autocomplete="name">
<label for="email">E-mail address</label>
<input id="email" name="email" type="email" required maxlength="320" autocomplete="username">
<label for="password">Password</label>
<input id="password" name="password" type="password" required autocomplete="new-password">
<p id="problem" class="bad" role="alert"></p>
<button>Make the account</button>
</form>
<section id="done" aria-live="polite" hidden>
<p class="good">The account is made, and you are signed in.</p>
<p><a class="button" id="enter" href="app/">Open the dashboard</a></p>
<p>The organization's id is <code id="org"></code>.</p>
<p>Or go on without it: on the server's machine, make a host, and a token for the command line. Where the server was started with
<code>--data-dir</code>, <code>--database-url</code> or <code>--config</code>, give it to <code>interlock admin</code> too.</p>
<pre id="commands" tabindex="0"></pre>
<p><code>create-host</code> prints the host's agent key, this once. On the host, with an <code>agent.toml</code>:</p>
<pre id="agent" tabindex="0"></pre>
<p>All else is in <a href="docs">the API's page</a> and in the guides.</p>
</section>
</main></body></html>
"""
