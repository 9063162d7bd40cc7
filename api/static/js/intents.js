// Intents: the list, and one of them with its promise beside what was measured.

import { api } from "./api.js";
import { showDecision } from "./decision.js";
import { h, meter, show, table } from "./dom.js";
import { badge, measured, ratio, when } from "./format.js";
import { t } from "./i18n.js";
import { refresh, state } from "./state.js";

/** Rows drawn at once; thousands would make every key pressed in the filter wait. */
const SHOWN = 300;

export class IntentsView {
  constructor(map) {
    this.map = map;
    this.wanted = "";
  }

  render(panel, name) {
    this.panel = panel;
    this.name = name;
    if (name) return this.#one();
    this.map.showPaths([]);
    this.list = h("div");
    show(panel,
      h("h2", {}, t("intents")),
      h("div", { class: "row" },
        h("label", {}, h("span", {}, `${t("filter")} `), h("input", { id: "filter", value: this.wanted, input: (event) => this.#filter(event.target.value) })),
        h("a", { href: "#/file" }, t("tab.file"))),
      this.list);
    this.update();
    return undefined;
  }

  leave() {
    this.panel = null; // what is still being fetched must not be drawn over the next view
    this.map.showPaths([]);
  }

  update() {
    if (this.name) {
      this.#one();
      return;
    }
    const rows = state.intents.filter((row) => [row.name, row.tenant, row.service, row.phase, t(row.phase)].join(" ").toLowerCase().includes(this.wanted));
    if (rows.length === 0) {
      show(this.list, h("p", { class: "quiet" }, t("noIntents")));
      return;
    }
    const cells = rows.slice(0, SHOWN).map((row) => [
      h("a", { href: `#/intents/${encodeURIComponent(row.name)}`, id: `go-${row.name}` }, row.name),
      badge(row.phase), row.service, row.tenant, when(row.updated_at),
    ]);
    show(this.list,
      table(t("intents"), [t("name"), t("phase"), t("service"), t("tenant"), t("updated")], cells),
      rows.length > SHOWN ? h("p", { class: "quiet", id: "more" }, t("moreIntents", { count: rows.length - SHOWN })) : null);
  }

  #filter(text) {
    this.wanted = text.toLowerCase();
    this.update();
  }

  async #one() {
    const { name, panel } = this;
    const [detail, compliance] = await Promise.all([
      api.intent(name).catch((problem) => ({ problem })),
      api.compliance(name).catch(() => null),
    ]);
    if (this.name !== name || this.panel !== panel || panel === null) return;
    const link = h("p", {}, h("a", { href: "#/intents", id: "back" }, `← ${t("back")}`));
    if (detail.problem) {
      show(this.panel, link, h("p", { class: "bad" }, detail.problem.message));
      return;
    }
    const { summary, running_decision: running } = detail;
    let { decision } = detail;
    if (decision?.decision === "refused") decision = await api.decision(name).catch(() => decision);
    if (this.name !== name || this.panel !== panel) return;
    this.map.showPaths((running ?? decision)?.paths ?? []);
    const why = [summary.reason, summary.message].filter((text) => text && text !== summary.phase).join(": ");
    const opened = new Set([...this.panel.querySelectorAll("details[open]")].map((element) => element.dataset.part));
    show(this.panel,
      link,
      h("h2", {}, summary.name),
      h("p", {}, badge(summary.phase), why ? ` ${why}` : ""),
      h("p", { class: "quiet" }, `${summary.service} · ${summary.tenant}`),
      h("h3", {}, t("promise")),
      this.#promise(detail, compliance),
      decision ? showDecision(decision, (_text, _offer, index) => this.#accept(summary.name, index)) : h("p", {}, t("notDecided")),
      this.#part("conditions", opened, table(t("conditions"), [t("name"), t("status"), t("reasonWord"), t("message")],
        detail.conditions.map((c) => [c.type, c.status, c.reason, c.message]))),
      this.#part("history", opened, table(t("history"), [t("at"), t("phase"), t("reasonWord"), t("message")],
        detail.history.toReversed().map((e) => [when(e.at), t(e.phase_to), e.reason, e.message]))),
      this.#part("manifest", opened, h("pre", { id: "manifest-text", tabindex: "0" }, JSON.stringify(detail.manifest, null, 2))),
      h("div", { class: "row" }, h("button", { type: "button", id: "withdraw", click: () => this.#withdraw(summary.name) }, t("withdraw"))));
  }

  #part(id, opened, ...children) {
    return h("details", { "data-part": id, open: opened.has(id) }, h("summary", { id: `part-${id}` }, t(id)), children);
  }

  /** Each objective: asked or proven, measured, what is left of its error budget. Unknown is never shown as kept. */
  #promise(detail, compliance) {
    const rows = compliance?.objectives ?? [];
    if (rows.length === 0) return h("p", { class: "quiet" }, t("notMeasured"));
    const left = compliance.budget_left;
    return [
      table(t("promise"), [t("objective"), t("promised"), t("measured"), t("samples"), t("verdict")], rows.map((row) => {
        const text = (value) => (value === null || value === undefined ? "–" : measured(value, row.unit, row.objective));
        const cause = [row.where, row.cause].filter(Boolean).join(": ");
        const verdict = { met: h("span", { class: "good" }, t("met")), broken: h("span", { class: "bad" }, t("broken")) }[row.state]
          ?? h("span", { class: "warn" }, t("noMeasurement"));
        return [t(row.objective), { number: text(row.promised) }, { number: text(row.measured) }, { number: String(row.samples) },
          [verdict, cause ? h("div", { class: "quiet" }, cause) : null]];
      })),
      typeof left === "number" ? h("p", {}, `${t("budget")}: `, meter(left, ratio(left), left > 0.5 ? "good" : left > 0 ? "warn" : "bad")) : null,
    ];
  }

  /** The offer's figures become the intent's, in one call. */
  async #accept(name, index) {
    try {
      await api.accept(name, index);
      await refresh();
    } catch (problem) {
      this.panel.append(h("p", { class: "bad", role: "alert" }, problem.message));
    }
  }

  async #withdraw(name) {
    if (!window.confirm(t("withdrawSure", { name }))) return;
    try {
      await api.withdraw(name);
      await refresh();
      location.hash = "#/intents";
    } catch (problem) {
      this.panel.append(h("p", { class: "bad", role: "alert" }, problem.message));
    }
  }
}
