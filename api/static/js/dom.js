// Building the page: text is always text, never HTML, so no name from a file or from the network can become script.

/** An element: h("td", {class: "number"}, "20 ms"). Functions become listeners, true and false attributes or none. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace what is in `element`, keeping the keyboard where it was: the focus goes to the new element of that id. */
export function show(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  if (focused) document.getElementById(focused)?.focus();
}

/** A table with a caption and scoped headers; cells are text, nodes, or {number: text}. */
export function table(caption, headers, rows) {
  const cell = (value) =>
    value !== null && typeof value === "object" && !Array.isArray(value) && "number" in value
      ? h("td", { class: "number" }, value.number)
      : h("td", {}, Array.isArray(value) ? value : (value ?? "–"));
  return h(
    "div",
    { class: "scroll", id: `table-${caption.replaceAll(/\s+/g, "-")}`, tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, headers.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell)))),
    ),
  );
}

/** A bar from 0 to 1 with its figure beside it, for eyes; the figure is what a screen reader reads. */
export function meter(share, text, mood) {
  const width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  rect.setAttribute("width", width);
  rect.setAttribute("height", "100%");
  svg.append(rect);
  svg.setAttribute("aria-hidden", "true");
  return h("span", { class: `share ${mood ?? ""}` }, h("span", { class: "meter" }, svg), ` ${text}`);
}

/** `run` at most once every `wait_ms`, with the last arguments, once the calls have stopped. */
export function debounced(run, wait_ms) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...given), wait_ms);
  };
}
