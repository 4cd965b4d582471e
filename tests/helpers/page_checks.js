// What every page keeps to; gives the list of what it does not. Runs in the page, as it is drawn.
() => {
  const wrong = [];
  const tell = (rule, element, more = "") => {
    const name = element.id ? `#${element.id}` : element.className?.baseVal ?? element.className;
    const text = (element.textContent || "").trim().slice(0, 50);
    wrong.push(`${rule}: <${element.localName} ${name}> ${more} “${text}”`);
  };
  const isSeen = (element) =>
    element.checkVisibility({ checkVisibilityCSS: true, checkOpacity: true, contentVisibilityAuto: true })
    && element.getClientRects().length > 0;
  const all = (selector) => [...document.querySelectorAll(selector)].filter(isSeen);

  // --- the document
  if (!document.documentElement.lang) wrong.push("no language is named");
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) {
    wrong.push(`wider than the screen by ${wide} px`);
    all("body *").filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, svg, nav.bar, pre, figure.wide"))
      .slice(0, 3).forEach((e) => tell("sticks out", e));
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  ids.filter((id, at) => ids.indexOf(id) !== at).forEach((id) => wrong.push(`two elements are called #${id}`));

  // --- headings
  const heads = all("h1, h2, h3, h4, h5, h6");
  const firsts = heads.filter((h) => h.localName === "h1").length;
  if (firsts !== 1) wrong.push(`${firsts} headings of the first level`);
  let level = 0;
  heads.forEach((head) => {
    const own = Number(head.localName[1]);
    if (own > level + 1) tell(`a heading of level ${own} after one of ${level}`, head);
    if (!head.textContent.trim()) tell("an empty heading", head);
    level = own;
  });

  // --- names
  const textOf = (element) => {
    if (element.getAttribute("aria-hidden") === "true") return "";
    if (element.getAttribute("aria-label")) return element.getAttribute("aria-label");
    return [...element.childNodes].map((n) =>
      n.nodeType === 3 ? n.data : n.nodeType === 1 ? textOf(n) : "").join("");
  };
  const nameOf = (element) => {
    const by = (element.getAttribute("aria-labelledby") || "").split(" ").filter(Boolean);
    if (by.length) return by.map((id) => document.getElementById(id)?.textContent || "").join(" ").trim();
    if (element.getAttribute("aria-label")) return element.getAttribute("aria-label").trim();
    if (element.labels?.length) {
      const label = element.labels[0].cloneNode(true);
      label.querySelectorAll("select, textarea, input, option").forEach((e) => e.remove());
      return label.textContent.trim();
    }
    if (/^(input|select|textarea|progress|meter)$/.test(element.localName)) return element.title.trim();
    return textOf(element).trim();
  };
  const controls = "input:not([type=hidden]), select, textarea, button, a[href], summary, progress, meter";
  all(controls).forEach((element) => { if (!nameOf(element)) tell("no name", element); });
  all("nav, [role=group], [role=log], [role=region], fieldset, dialog[open]").forEach((element) => {
    const legend = element.querySelector(":scope > legend");
    if (!nameOf({ ...element, getAttribute: (n) => element.getAttribute(n), childNodes: [], localName: "nav" }) && !legend) {
      tell("no name", element);
    }
  });

  // --- pictures and tables
  all("img").forEach((image) => { if (!image.hasAttribute("alt")) tell("no text for a picture", image); });
  all("svg").forEach((chart) => {
    if (chart.closest("[aria-hidden=true]")) return;
    const title = chart.querySelector(":scope > title")?.textContent || chart.getAttribute("aria-label");
    if (!title?.trim() || chart.getAttribute("role") !== "img") tell("no text for a chart", chart);
  });
  all("table").forEach((table) => {
    if (!table.querySelector("thead th")) tell("no header cells", table);
    const columns = Math.max(...[...table.rows].map((r) => [...r.cells].reduce((n, c) => n + c.colSpan, 0)));
    [...table.rows].forEach((row) => {
      const own = [...row.cells].reduce((n, cell) => n + cell.colSpan, 0);
      if (own !== columns && !table.querySelector("[rowspan]")) tell(`a row of ${own} in a table of ${columns} columns`, row);
    });
  });

  // --- lists
  all("ul, ol").forEach((list) => {
    if ([...list.children].some((child) => child.localName !== "li")) tell("a list of other things", list);
  });

  // --- what can be read
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const parse = (colour) => { // any CSS colour → [r, g, b, a]
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => { // both unpremultiplied, below opaque
    const a = top[3];
    return [0, 1, 2].map((n) => top[n] * a + below[n] * (1 - a)).concat(1);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const white = parse(getComputedStyle(document.body).backgroundColor);
  const papers = new Map();
  const papersOf = (element) => { // every colour that may lie under the text of an element
    if (!element || element === document.documentElement) return [over(white, [255, 255, 255, 1])];
    if (papers.has(element)) return papers.get(element);
    const style = getComputedStyle(element);
    const below = papersOf(element.parentElement);
    const plain = parse(style.backgroundColor);
    let found = plain[3] ? below.map((paper) => over(plain, paper)) : below;
    if (style.backgroundImage.includes("gradient")) {
      const stops = style.backgroundImage.match(/(rgba?|color)\([^()]*\)/g) || [];
      found = stops.flatMap((stop) => found.map((paper) => over(parse(stop), paper)));
    }
    papers.set(element, found);
    return found;
  };
  const opacityOf = (element) =>
    element ? Number(getComputedStyle(element).opacity) * opacityOf(element.parentElement) : 1;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || seen.has(element) || !isSeen(element)) continue;
    seen.add(element);
    if (element.closest(":disabled, title, script, style, option")) continue;
    const style = getComputedStyle(element);
    const ink = parse(element.closest("svg") ? style.fill : style.color);
    ink[3] *= opacityOf(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const under = papersOf(element.closest("svg")?.parentElement ?? element);
    const least = Math.min(...under.map((paper) => contrast(over(ink, paper), paper)));
    if (least < (large ? 3 : 4.5)) tell(`contrast ${least.toFixed(2)}`, element);
  }
  // what is written in fields, and their edges (WCAG 1.4.3, 1.4.11); what is pressed is large enough (2.5.8)
  all("input:not([type=hidden], [type=checkbox], [type=radio], [type=file]), select, textarea").forEach((field) => {
    if (field.disabled) return;
    const style = getComputedStyle(field);
    const under = papersOf(field);
    const inks = { text: style.color };
    if (field.placeholder) inks.placeholder = getComputedStyle(field, "::placeholder").color;
    Object.entries(inks).forEach(([what, colour]) => {
      const least = Math.min(...under.map((paper) => contrast(over(parse(colour), paper), paper)));
      if (least < 4.5) tell(`contrast ${least.toFixed(2)} of the ${what}`, field);
    });
    const around = papersOf(field.parentElement);
    const edge = Math.min(...around.map((paper) => contrast(over(parse(style.borderTopColor), paper), paper)));
    if (edge < 3) tell(`contrast ${edge.toFixed(2)} of the edge`, field);
  });
  const middleOf = ({ left, right, top, bottom }) => [(left + right) / 2, (top + bottom) / 2];
  const targets = all("button, select, summary, input:not([type=hidden])").map((element) => {
    const label = element.matches("[type=checkbox], [type=radio]") && element.closest("label");
    const box = (label || element).getBoundingClientRect();
    return { element, box, middle: middleOf(box) };
  });
  targets.filter(({ box }) => Math.min(box.width, box.height) < 24).forEach(({ element, box, middle }) => {
    const isCrowded = targets.some((other) => other.element !== element
      && Math.hypot(other.middle[0] - middle[0], other.middle[1] - middle[1]) < 24);
    if (isCrowded || !element.matches("input")) {
      tell(`${Math.round(box.width)} × ${Math.round(box.height)} px to press`, element);
    }
  });
  return wrong;
}
