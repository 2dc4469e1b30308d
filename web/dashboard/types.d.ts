/** What the modules add to the page's own types. */

interface HTMLElementTagNameMap {
  "il-clock": HTMLElement;
}
