// What if: links and switches that fail together, chosen on the map or by name; the planner answers on a copy.

import { api } from "./api.js";
import { h, show, table } from "./dom.js";
import { reasonText } from "./format.js";
import { t } from "./i18n.js";
import { state } from "./state.js";

export class WhatIfView {
  constructor(map) {
    this.map = map;
    this.links = new Set();
    this.nodes = new Set();
    this.answer = null;
  }

  render(panel) {
    this.panel = panel;
    this.#draw();
  }

  leave() {
    this.map.showFailed([], []);
  }

  update() {}

  /** A click on the map adds or takes away. */
  choose(choice) {
    const set = choice.kind === "link" ? this.links : this.nodes;
    if (!set.delete(choice.id)) set.add(choice.id);
    this.answer = null;
    this.#draw();
  }

  #draw() {
    this.map.showFailed(this.links, this.nodes);
    const chosen = [...[...this.links].map((id) => ({ kind: "link", id })), ...[...this.nodes].map((id) => ({ kind: "node", id }))];
    show(this.panel,
      h("h2", {}, t("tab.whatif")),
      h("p", { class: "quiet" }, t("whatifHelp")),
      h("form", { class: "row", submit: (event) => this.#named(event) },
        h("label", { class: "wide" }, h("span", {}, `${t("link")} / ${t("node")} `), h("input", { id: "fail-name", list: "places", autocomplete: "off" })),
        h("button", { id: "fail-add" }, t("fail"))),
      h("h3", {}, t("failing")),
      chosen.length === 0 ? h("p", { class: "quiet" }, t("nothingFailed")) : h("ul", { class: "plain" }, chosen.map((item) => h("li", {},
        `${t(item.kind)} ${item.id} `, h("button", { type: "button", "aria-label": t("remove", { name: item.id }), click: () => this.choose(item) }, "×")))),
      h("div", { class: "row" },
        h("button", { type: "button", class: "main", id: "compute", disabled: chosen.length === 0, click: () => this.#compute() }, t("compute")),
        h("button", { type: "button", id: "clear", disabled: chosen.length === 0, click: () => this.#clear() }, t("clear"))),
      h("div", { role: "status", id: "what-happens" }, this.answer));
  }

  #named(event) {
    event.preventDefault();
    const name = event.target.querySelector("input").value.trim();
    const kind = state.topology.links.some((link) => link.id === name) ? "link" : state.topology.nodes.some((node) => node.id === name) ? "node" : null;
    if (kind) this.choose({ kind, id: name });
  }

  #clear() {
    this.links.clear();
    this.nodes.clear();
    this.answer = null;
    this.#draw();
  }

  async #compute() {
    this.answer = h("p", { class: "quiet" }, t("checking"));
    this.#draw();
    try {
      const answer = await api.whatIf([...this.links], [...this.nodes]);
      this.answer = answer === null ? h("p", { class: "card" }, t("whatifNone")) : outcome(answer);
    } catch (problem) {
      this.answer = h("p", { class: "card bad" }, problem.message);
    }
    this.#draw();
  }
}

function outcome(answer) {
  const rows = answer.intents.filter((row) => row.outcome !== "kept");
  if (rows.length === 0) return h("p", { class: "card good" }, t("unaffected"));
  return h("div", {}, h("p", {}, t("affected", { count: rows.length })), table(t("tab.whatif"), [t("name"), t("outcome"), t("message")], rows.map((row) => [
    h("a", { href: `#/intents/${encodeURIComponent(row.name)}` }, row.name), t(row.outcome), row.reasons.map(reasonText).join("; "),
  ])));
}
