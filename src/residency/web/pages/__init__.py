"""Pages of the workbench, a file a page (or a few that belong together). The conventions of ``web/``:

**A page** is a file here with ``add_routes(app, site)``, named in ``web/page_list.py``; its link in
the bar is a ``Link`` there. Addresses are nouns (``/issues``, ``/issues/{id}``); reading is GET and
changes nothing, writing is POST and answers with a part of a page (for a request of our script, which
sends ``HX-Request``) or with 303 to where one sees what was written (``site.went(request, "/…")``
does either).

**Site** (``web/site.py``, with ``request_project.py`` and ``request_writer.py``) is what pages share:
``site.root(request)`` the project of this request,
``site.results(request)`` its latest run (raises ``NotStartedError``, which leads to Start),
``site.store(request)``, ``site.workspace(request)``, ``site.person(request)`` who writes,
``site.write(request, kind, key, body)`` which appends a record with ``who``,
``site.page(...)`` a whole page and ``site.part(...)`` a piece of one.

**Templates** extend ``base.html.j2`` and fill ``{% block main %}``. Autoescape is always on; never use
``|safe``. ``site.page(..., command="residency …")`` shows the command that does the same. A form that
writes holds ``{{ csrf_field }}``; a request of our script carries the token by itself. Several
buttons of one form may post elsewhere by ``formaction``.

**Writing is safe** without a page's help: ``security.Guard`` refuses foreign hosts and origins, and
``security.check_token`` (a dependency of the whole application) refuses every POST without the
token. Pages write only by ``site.write`` or by a function of ``commands/``; everything is appended.

**The script** (``static/residency.js``; no library, no inline script) knows these attributes:
``hx-get``/``hx-post`` URL, ``hx-target`` SELECTOR (or ``this``, ``closest SELECTOR``), ``hx-swap``
(innerHTML, outerHTML, beforeend, none), ``hx-trigger`` (click, submit, change, input, load, every Ns),
``hx-vals`` (JSON), ``hx-confirm`` TEXT, ``hx-sse`` URL (an EventSource whose messages are swapped in);
``data-item`` (j and k go from one to the next), ``data-key`` X (the key that clicks or focuses the
element, within the item where one stands), ``data-drop`` (files dropped here go into its file input),
``data-copy`` TEXT; ``data-cancel`` on a hidden button of a form, shown while its answer is awaited; ``data-toggle`` SELECTOR (shows and hides it, within the item); ``data-auto`` on a
form that sends itself when a field changes; ``data-clear`` on a field that is
empty once its form was answered; ``data-address`` URL on a form: what the page is called from then on;
``hx-swap-oob`` on a part of an answer that takes the place of the element with its id; ``data-no-enter`` on one with several buttons. Everything works without the script too, except progress and keys.

**Style**: ``templates/web.css`` after the report's ``style.css``. Use its variables, ``.card``,
``.buttons``, ``.field``, ``.facts``, ``.chip``, ``.sample``, ``.pair``, ``.scroll``, ``.note``, ``.empty``.
No inline ``<style>``; a ``style=""`` attribute for a figure (``--rate``) is allowed.
"""
