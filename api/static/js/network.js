// Links as a table: what the map shows, for those who read rather than look.

import { h, meter, show, table } from "./dom.js";
import { mbps, ms, percent } from "./format.js";
import { t } from "./i18n.js";
import { failures, loads, slices, state } from "./state.js";

const SHOWN = 200;

export class NetworkView {
  constructor(map, choose) {
    this.map = map;
    this.choose = choose;
  }

  render(panel) {
    this.panel = panel;
    this.update();
  }

  leave() {}

  update() {
    const full = loads();
    const down = failures();
    const links = state.topology.links
      .map((link) => ({ ...link, load: full.get(link.id), down: down.links.includes(link.id) }))
      .sort((a, b) => b.down - a.down || (b.load ?? -1) - (a.load ?? -1))
      .slice(0, SHOWN);
    show(this.panel,
      h("h2", {}, t("tab.network")),
      h("p", { class: "quiet" }, t("linksHelp")),
      table(t("tab.network"), [t("link"), t("status"), t("load"), t("capacity"), t("delay"), t("availability")], links.map((link) => [
        h("button", { type: "button", class: "plain", id: `link-${link.id}`, click: () => this.choose({ kind: "link", id: link.id }) }, link.id),
        h("span", { class: link.down ? "bad" : "good" }, t(link.down ? "downWord" : "up")),
        link.load === undefined ? "–" : meter(link.load, `${Math.ceil(link.load * 100)}%`, mood(link.load)),
        { number: mbps(link.capacity_mbps) }, { number: ms(link.delay_ms) }, { number: percent(link.availability) },
      ])));
  }
}

const mood = (share) => (share < 0.5 ? "good" : share < 0.85 ? "warn" : "bad");

/** What is known of the chosen link or switch, beside the map. */
export function describe(choice) {
  const fact = (name, value) => [h("dt", {}, t(name)), h("dd", {}, value)];
  const down = failures();
  if (choice.kind === "link") {
    const link = state.topology.links.find((item) => item.id === choice.id);
    const load = loads().get(link.id);
    return [
      h("h2", {}, `${t("link")} ${link.id}`),
      h("p", {}, t("between", link), " ", h("span", { class: down.links.includes(link.id) ? "bad" : "good" }, t(down.links.includes(link.id) ? "downWord" : "up"))),
      h("dl", {},
        fact("capacity", mbps(link.capacity_mbps)),
        fact("load", load === undefined ? t("unknown") : `${Math.ceil(load * 100)}%`),
        fact("slices", String(slices(link.id))),
        fact("delay", ms(link.delay_ms)),
        fact("availability", link.availability === null ? t("unknown") : percent(link.availability)),
        link.risk_groups.length ? fact("groups", link.risk_groups.join(", ")) : []),
    ];
  }
  const node = state.topology.nodes.find((item) => item.id === choice.id);
  const ends = state.topology.endpoints.filter((end) => end.node === node.id);
  return [
    h("h2", {}, `${t("node")} ${node.id}`),
    h("p", {}, node.site ?? "", " ", h("span", { class: down.nodes.includes(node.id) ? "bad" : "good" }, t(down.nodes.includes(node.id) ? "away" : "connected"))),
    h("dl", {},
      fact("availability", node.availability === null ? t("unknown") : percent(node.availability)),
      ends.length ? fact("endpoints", ends.map((end) => end.id).join(", ")) : []),
  ];
}
