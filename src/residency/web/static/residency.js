// The workbench's script: requests by attributes, keys, dropped files, progress as it comes.
// What each attribute does is told in web/pages/__init__.py.
"use strict";
(() => {
  const csrf = () => document.querySelector('meta[name="csrf"]');

  // --- messages ----------------------------------------------------------------------------
  const say = (node) => {
    const box = document.getElementById("messages");
    box.replaceChildren(node);
    box.hidden = false;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { box.hidden = true; }, 12000);
  };
  const sayText = (text) => {
    const line = document.createElement("p");
    line.textContent = text;
    say(line);
  };
  const parse = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.content;
  };

  // --- requests ----------------------------------------------------------------------------
  const refreshToken = async () => { // gives whether this page's project is still the one that is shown
    const answer = await fetch("/token", { headers: { "HX-Request": "true" } });
    const { token, project } = await answer.json();
    if (project !== csrf().dataset.project) {
      sayText("Another project was chosen meanwhile: load this page again. Nothing was written.");
      return false;
    }
    csrf().content = token;
    document.querySelectorAll('input[name="csrf"]').forEach((field) => { field.value = token; });
    return true;
  };
  const go = (url) => {
    const target = new URL(url, location.href);
    const isHere = target.pathname + target.search === location.pathname + location.search;
    location.assign(target);
    if (isHere && target.hash) location.reload(); // a mark within the page alone would load nothing
  };

  const targetOf = (element) => {
    const name = element.closest("[hx-target]")?.getAttribute("hx-target") || "this";
    if (name === "this") return element;
    if (name.startsWith("closest ")) return element.closest(name.slice(8));
    return document.querySelector(name);
  };

  const swap = (element, html) => {
    const how = element.getAttribute("hx-swap") || "innerHTML";
    const focus = document.activeElement?.id;
    const content = parse(html);
    content.querySelectorAll("[hx-swap-oob]").forEach((part) => { // what else on the page is new by it
      part.removeAttribute("hx-swap-oob");
      part.remove();
      document.getElementById(part.id)?.replaceWith(part);
      start(part);
    });
    const target = targetOf(element);
    if (!target || how === "none") return;
    const fresh = [...content.children];
    if (how === "outerHTML") {
      const hadFocus = target.contains(document.activeElement) || target === document.activeElement;
      target.replaceWith(content);
      if (hadFocus) (fresh.find((node) => node.matches("[data-item]")) || fresh[0])?.focus?.();
    } else if (how === "beforeend") target.append(content);
    else target.replaceChildren(content);
    if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
    fresh.forEach(start); // what came, and not what it came into: that has begun already
  };

  const bodyOf = (element, submitter) => {
    const form = element.closest("form");
    const data = form ? new FormData(form, submitter || undefined) : new FormData();
    if (element.name && !data.has(element.name) && element.value !== undefined) {
      data.set(element.name, element.value);
    }
    const more = JSON.parse(element.getAttribute("hx-vals") || "{}");
    Object.entries(more).forEach(([name, value]) => data.set(name, value));
    data.delete("csrf");
    return data;
  };

  const turns = new WeakMap(); // of several answers to one place the last that was asked for stays
  const sending = new WeakSet(); // forms whose answer is awaited: a second click writes nothing twice
  const send = async (element, { submitter = null, again = false } = {}) => {
    const question = element.getAttribute("hx-confirm");
    if (question && !again && !confirm(question)) return;
    const isForm = element.matches('form[method="post"]');
    const get = element.getAttribute("hx-get");
    const post = element.getAttribute("hx-post") ?? submitter?.getAttribute("formaction")
      ?? (isForm && !get ? element.getAttribute("action") : null);
    const isButtoned = isForm && element.dataset.auto === undefined;
    if (isButtoned && !again && sending.has(element)) return;
    if (isButtoned) sending.add(element);
    let isLeaving = false;
    let url = submitter?.getAttribute("formaction") || post || get;
    const options = { headers: { "HX-Request": "true" } };
    const data = bodyOf(element, submitter);
    if (post) {
      options.method = "POST";
      options.headers["X-CSRF-Token"] = csrf().content;
      const plain = [...data.values()].every((value) => typeof value === "string");
      options.body = plain ? new URLSearchParams(data) : data;
    } else {
      const words = new URLSearchParams(data).toString();
      if (words) url += (url.includes("?") ? "&" : "?") + words;
    }
    const busy = targetOf(element) || element;
    busy.setAttribute("aria-busy", "true");
    const turn = (turns.get(busy) || 0) + 1;
    turns.set(busy, turn);
    const isLast = () => turns.get(busy) === turn;
    const stop = element.querySelector("[data-cancel]");
    const waiting = new AbortController();
    if (stop) {
      options.signal = waiting.signal;
      stop.onclick = () => waiting.abort();
      stop.hidden = false;
    }
    try {
      const answer = await fetch(url, options);
      const text = await answer.text();
      if (answer.status === 403 && post && !again) {
        // the server was started again: the page is still good
        if (await refreshToken()) await send(element, { submitter, again: true });
        return;
      }
      const away = answer.headers.get("HX-Redirect");
      isLeaving = Boolean(away);
      if (away) return go(away);
      if (answer.redirected && element.getAttribute("hx-swap") !== "none") return go(answer.url);
      if (!answer.ok) return say(parse(text || "<p>That did not work.</p>"));
      if (!isLast() && element.getAttribute("hx-swap") !== "beforeend") return;
      swap(element, text);
      element.querySelectorAll("[data-clear]").forEach((field) => { field.value = ""; });
      if (element.dataset.address) history.replaceState(null, "", element.dataset.address);
    } catch (error) {
      if (error.name === "AbortError") return sayText("Stopped. Answers that came are kept; nothing else was changed.");
      sayText("The server does not answer. What you wrote is still here; try again in a moment.");
    } finally {
      if (isLast()) busy.removeAttribute("aria-busy");
      if (stop) stop.hidden = true;
      if (!isLeaving) sending.delete(element);
    }
  };

  const triggerOf = (element) => {
    const named = element.getAttribute("hx-trigger");
    if (named) return named;
    if (element.tagName === "FORM") return "submit";
    return /^(INPUT|SELECT|TEXTAREA)$/.test(element.tagName) ? "change" : "click";
  };

  const REQUEST = "[hx-get], [hx-post]";
  document.addEventListener("click", (event) => {
    const element = event.target.closest(REQUEST);
    if (!element || triggerOf(element) !== "click") return;
    event.preventDefault();
    send(element);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const isRequest = form.matches(REQUEST) && triggerOf(form) === "submit";
    if (!isRequest && form.method !== "post") return;
    event.preventDefault(); // what is refused is told here, and what was written stays in its fields
    send(form, { submitter: event.submitter });
  });
  document.addEventListener("change", (event) => {
    const element = event.target.closest(REQUEST);
    if (element && triggerOf(element) === "change") send(element);
    else if (event.target.form?.dataset.auto !== undefined) event.target.form.requestSubmit();
  });
  let typing;
  document.addEventListener("input", (event) => {
    const element = event.target.closest(REQUEST);
    if (!element || triggerOf(element) !== "input") return;
    clearTimeout(typing);
    typing = setTimeout(() => send(element), 300);
  });

  // --- what begins by itself ----------------------------------------------------------------
  const begun = new WeakSet(); // an element whose content is swapped is begun once all the same
  const listen = (element) => {
    if (begun.has(element)) return;
    begun.add(element);
    const source = new EventSource(element.getAttribute("hx-sse"));
    source.onmessage = (event) => {
      if (element.isConnected) swap(element, event.data); else source.close();
    };
    source.addEventListener("end", () => source.close());
    const state = document.getElementById("connection");
    source.onopen = () => { if (state) state.textContent = ""; };
    source.onerror = () => { // the browser tries again by itself
      if (state) state.textContent = "The server does not answer; the run itself goes on.";
    };
    addEventListener("pagehide", () => source.close(), { once: true });
  };
  const start = (root) => {
    const inside = (selector) => [
      ...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector),
    ];
    inside("[hx-sse]").forEach(listen);
    inside("time[datetime]").forEach((moment) => {
      const at = new Date(moment.dateTime);
      const style = { dateStyle: "medium", timeStyle: "short" };
      if (!Number.isNaN(at.getTime())) moment.textContent = at.toLocaleString("en-GB", style);
    });
    inside(".scroll").forEach((box) => { // what must be scrolled can be scrolled by the keyboard
      if (box.scrollWidth <= box.clientWidth || box.querySelector("a, button, input")) return;
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", box.querySelector("caption")?.textContent || "table");
    });
    inside(REQUEST).forEach((element) => {
      const trigger = triggerOf(element);
      if (trigger === "load") send(element);
      const every = /^every (\d+)s$/.exec(trigger);
      if (!every || begun.has(element)) return;
      begun.add(element);
      const timer = setInterval(() => {
        if (element.isConnected) send(element); else clearInterval(timer);
      }, 1000 * Number(every[1]));
    });
  };

  // --- keys --------------------------------------------------------------------------------
  const isTyping = (element) => element?.matches?.(
    'textarea, select, input:not([type="checkbox"], [type="radio"]), [contenteditable="true"]');
  const isSeen = (element) => element.getClientRects().length > 0;
  const items = () => [...document.querySelectorAll("[data-item]")].filter(isSeen);
  const currentItem = () => document.activeElement?.closest?.("[data-item]");
  const step = (by) => {
    const all = items();
    const at = all.indexOf(currentItem());
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
    if (!next) return;
    next.tabIndex = -1;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };
  const act = (key) => {
    const name = `[data-key="${CSS.escape(key)}"]`;
    const item = currentItem() || (items().length === 1 ? items()[0] : null);
    const element = [...(item?.querySelectorAll(name) || [])].find(isSeen)
      || [...document.querySelectorAll(name)].find((e) => isSeen(e) && !e.closest("[data-item]"));
    if (!element) return false;
    if (isTyping(element)) { element.focus(); element.select?.(); } else element.click();
    return true;
  };
  const showKeys = () => {
    const dialog = document.getElementById("keys");
    if (dialog.open) return dialog.close();
    const list = dialog.querySelector("dl");
    list.replaceChildren();
    const rows = items().length ? [["j / k", "next, previous item"]] : [];
    const seen = new Set();
    document.querySelectorAll("[data-key]").forEach((element) => {
      if (seen.has(element.dataset.key)) return;
      seen.add(element.dataset.key);
      const label = element.getAttribute("aria-label") || element.textContent.trim()
        || element.labels?.[0]?.textContent.trim() || element.name;
      rows.push([element.dataset.key, label]);
    });
    rows.push(["Ctrl + Enter", "send what is written in a field"], ["?", "these keys"]);
    rows.forEach(([key, what]) => {
      const term = document.createElement("dt");
      const words = document.createElement("dd");
      term.textContent = key;
      words.textContent = what;
      list.append(term, words);
    });
    dialog.showModal();
  };
  document.addEventListener("keydown", (event) => {
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      // of several buttons none is meant by Enter
      if (event.key === "Enter" && event.target.matches("[data-no-enter] input")) event.preventDefault();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        event.target.form?.requestSubmit();
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "?") showKeys();
    else if (!act(event.key)) return;
    event.preventDefault();
  });

  // --- files, copies ------------------------------------------------------------------------
  document.addEventListener("dragover", (event) => {
    const zone = event.target.closest?.("[data-drop]");
    if (!zone) return;
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    event.target.closest?.("[data-drop]")?.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    const zone = event.target.closest?.("[data-drop]");
    if (!zone) return;
    event.preventDefault();
    zone.classList.remove("over");
    const field = zone.querySelector('input[type="file"]');
    field.files = event.dataTransfer.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      try { await navigator.clipboard.writeText(button.dataset.copy); } catch { return; }
      const name = button.textContent;
      button.textContent = "copied";
      setTimeout(() => { button.textContent = name; }, 1500);
    }
    const closer = event.target.closest("[data-close]");
    if (closer) closer.closest("dialog")?.close();
    const opener = event.target.closest("[data-keys]");
    if (opener) showKeys();
    const toggle = event.target.closest("[data-toggle]");
    if (toggle) {
      const hidden = (toggle.closest("[data-item]") || document).querySelector(toggle.dataset.toggle);
      if (hidden) {
        hidden.hidden = !hidden.hidden;
        toggle.setAttribute("aria-expanded", String(!hidden.hidden));
        if (!hidden.hidden) hidden.querySelector("textarea, input:not([type=hidden])")?.focus();
      }
    }
  });

  // not scrollIntoView: the next Tab would begin there, and no more at the link to the content
  const here = document.querySelector('nav.bar a[aria-current="page"]');
  if (here) {
    const bar = here.parentElement;
    bar.scrollLeft = here.offsetLeft - (bar.clientWidth - here.offsetWidth) / 2;
  }
  start(document);
})();
