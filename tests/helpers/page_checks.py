"""What every page keeps to, checked in a browser: names, headings, contrast, keys, nothing foreign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_CHECKS = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
_STOPS = """() => {
  const seen = (e) => e.checkVisibility({ checkVisibilityCSS: true }) && e.getClientRects().length > 0;
  const all = [...document.querySelectorAll(
    'a[href], button:not(:disabled), input:not([type=hidden]):not(:disabled), select:not(:disabled),'
    + 'textarea:not(:disabled), summary, [tabindex="0"]')].filter(seen);
  const radios = new Set();
  window.stops = all.filter((e) => { // of radio buttons of one name the keyboard stops at one
    if (e.type !== 'radio') return true;
    const fresh = !radios.has(e.name);
    radios.add(e.name);
    return fresh;
  });
  window.passed = [];
  window.unseen = [];
  document.addEventListener('focusin', ({ target: e }) => {
    window.passed.push(e);
    const style = getComputedStyle(e);
    const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    if (!ring && e.id !== 'main') window.unseen.push(e.outerHTML.slice(0, 90));
  });
  document.activeElement?.blur();
  window.scrollTo(0, 0);
  const scrolled = [...document.querySelectorAll('.scroll, pre, figure, nav')].filter(seen);
  return window.stops.length + scrolled.length + 4; // what scrolls is a stop of the browser's own
}"""
_LEFT = """() => {
  const passed = new Set(window.passed);
  const names = new Set(window.passed.filter((e) => e.type === 'radio').map((e) => e.name));
  const left = window.stops.filter(
    (e) => !passed.has(e) && !(e.type === 'radio' && names.has(e.name)));
  const order = window.passed.filter((e, at) => at > 0 && at < window.stops.length
    && window.passed[at - 1].compareDocumentPosition(e) & Node.DOCUMENT_POSITION_PRECEDING);
  return [
    ...left.map((e) => 'Tab does not come to ' + e.outerHTML.slice(0, 90)),
    ...order.slice(0, 1).map((e) => 'Tab goes back to ' + e.outerHTML.slice(0, 90)),
    ...window.unseen.map((text) => 'the focus is not seen on ' + text),
  ];
}"""


def check_page(page: Any) -> list[str]:
    """What a page that is open does not keep to; nothing where all is well."""
    return list(page.evaluate(_CHECKS))


def check_keys(page: Any) -> list[str]:
    """Whether Tab comes to everything that can be used, in the order of the page, and is seen there."""
    stops = page.evaluate(_STOPS)
    for _ in range(stops):
        page.keyboard.press("Tab")
    return list(page.evaluate(_LEFT))
