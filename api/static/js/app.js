// The page: boot, tabs, theme, language, key. Views are objects with render(panel, argument), leave() and update().

import { api, key, whenDenied } from "./api.js";
import { h, show } from "./dom.js";
import { FileView } from "./file.js";
import { switchLanguage, t, translate } from "./i18n.js";
import { IntentsView } from "./intents.js";
import { AuditView, ConsultationsView } from "./live.js";
import { NetworkMap } from "./map.js";
import { NetworkView, describe } from "./network.js";
import { changed, failures, follow, loads, onChange, refresh, state } from "./state.js";
import { WhatIfView } from "./whatif.js";

const TABS = ["intents", "file", "whatif", "consultations", "network", "audit"];
const THEME = "carelane.theme";
const $ = (id) => document.getElementById(id);
let map;
let views;
let current;

async function boot() {
  setTheme(localStorage.getItem(THEME) ?? "auto");
  translate();
  wire();
  whenDenied((problem) => askKey(problem));
  try {
    state.topology = await api.topology();
  } catch (problem) {
    $("state").textContent = problem.status === 401 ? t("needsKey") : t("noServer", { why: problem.message });
    return;
  }
  map = new NetworkMap($("map"), state.topology, choose);
  views = {
    intents: new IntentsView(map), file: new FileView(map), whatif: new WhatIfView(map),
    consultations: new ConsultationsView(), network: new NetworkView(map, choose), audit: new AuditView(),
  };
  $("network").textContent = state.topology.name;
  window.carelane = { map, state }; // for tests and for the curious
  drawFrame();
  onChange(drawState);
  window.addEventListener("hashchange", () => route(true));
  route(false);
  await map.ready;
  performance.mark("carelane-map");
  await refresh();
  performance.mark("carelane-ready");
  document.documentElement.dataset.ready = "true";
  follow();
}

function wire() {
  $("language").addEventListener("click", () => {
    switchLanguage();
    translate();
    if (map) {
      drawFrame();
      route(false);
      changed();
    }
  });
  $("theme").addEventListener("click", () => setTheme(dark() ? "light" : "dark"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => map?.restyle());
  $("key").addEventListener("click", () => askKey(null));
  $("fit").addEventListener("click", () => map?.fit());
  $("zoom-in").addEventListener("click", () => map?.zoom(1.4));
  $("zoom-out").addEventListener("click", () => map?.zoom(1 / 1.4));
  $("find").addEventListener("change", (event) => find(event.target.value.trim()));
}

const dark = () => (document.documentElement.dataset.theme === "auto"
  ? matchMedia("(prefers-color-scheme: dark)").matches
  : document.documentElement.dataset.theme === "dark");

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  if (name !== "auto") localStorage.setItem(THEME, name);
  map?.restyle();
}

/** What changes with the language only: tabs, legend, names to find. */
function drawFrame() {
  $("language").textContent = t("otherLanguage");
  $("language").lang = t("otherLanguage") === "中文" ? "zh" : "en";
  show($("tabs"), TABS.map((id) => h("button", {
    type: "button", role: "tab", id: `tab-${id}`, "aria-controls": "panel", "aria-selected": "false", tabindex: "-1",
    click: () => { location.hash = `#/${id}`; }, keydown: (event) => arrows(event, id),
  }, t(`tab.${id}`))));
  const legend = { primary: "info", backup: "hold", load1: "good", load2: "warn", load3: "bad", down: "bad" };
  show($("legend"), Object.entries(legend).map(([id, colour]) => {
    const line = h("i", { "aria-hidden": "true" });
    line.style.borderTopColor = `var(--${colour})`;
    line.style.borderTopStyle = { backup: "dotted", down: "dashed" }[id] ?? "solid";
    return h("li", {}, line, t(`legend.${id}`));
  }));
  show($("places"), [...state.topology.nodes, ...state.topology.links].map((item) => h("option", { value: item.id })));
}

/** Arrow keys move among tabs, as the ARIA practices ask. */
function arrows(event, id) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const next = TABS[(TABS.indexOf(id) + step + TABS.length) % TABS.length];
  location.hash = `#/${next}`;
  $(`tab-${next}`).focus();
}

function route(entered) {
  const [, id = "intents", ...rest] = location.hash.split("/");
  const tab = TABS.includes(id) ? id : "intents";
  if (entered && current !== tab) views[current]?.leave();
  current = tab;
  for (const name of TABS) {
    $(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    $(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", `tab-${tab}`);
  views[tab].render($("panel"), rest.length ? decodeURIComponent(rest.join("/")) : undefined);
}

function drawState() {
  const down = failures();
  map.showState(loads(), down.links, down.nodes);
  const counts = { nodes: state.topology.nodes.length, links: state.topology.links.length, intents: state.intents.length };
  const trouble = down.nodes.length + down.links.length > 0;
  const text = state.failure
    ? t("noServer", { why: state.failure })
    : t("counts", counts) + (trouble ? ` · ${t("trouble", { switches: down.nodes.length, links: down.links.length })}` : "");
  if ($("state").textContent !== text) $("state").textContent = text;
  if (views[current].update) views[current].update();
}

function choose(choice) {
  if (choice && current === "whatif") {
    views.whatif.choose(choice);
    return;
  }
  const box = $("chosen");
  box.hidden = choice === null;
  if (choice === null) return;
  map.choose(choice.kind, choice.id);
  show(box, describe(choice), h("button", { type: "button", id: "chosen-close", click: () => choose(null) }, t("close")));
}

function find(name) {
  const kind = state.topology.nodes.some((node) => node.id === name) ? "node" : state.topology.links.some((link) => link.id === name) ? "link" : null;
  if (kind) choose({ kind, id: name });
}

function askKey(problem) {
  const dialog = $("key-dialog");
  if (dialog.open) return;
  const input = h("input", { id: "key-input", type: "password", autocomplete: "off", spellcheck: "false", value: key.get() });
  const use = (value) => {
    key.set(value.trim());
    dialog.close();
    location.reload();
  };
  show(dialog,
    h("h2", { id: "key-title" }, t("keyTitle")),
    h("p", {}, t("keyHelp")),
    problem && key.get() ? h("p", { class: "bad", role: "alert" }, t("keyWrong", { why: problem.message })) : null,
    h("form", { submit: (event) => { event.preventDefault(); use(input.value); } },
      h("p", {}, h("label", {}, h("span", {}, `${t("key")} `), input)),
      h("div", { class: "row" },
        h("button", { class: "main", id: "key-use" }, t("keyUse")),
        h("button", { type: "button", click: () => use("") }, t("keyForget")),
        h("button", { type: "button", click: () => dialog.close() }, t("cancel")))));
  dialog.showModal();
}

boot();
