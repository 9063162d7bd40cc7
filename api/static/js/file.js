// "File an intent": one line, decided as it is typed. A dry run changes nothing; filing is one more click.

import { api } from "./api.js";
import { showDecision } from "./decision.js";
import { debounced, h, show } from "./dom.js";
import { badge } from "./format.js";
import { t } from "./i18n.js";
import { refresh, state } from "./state.js";

const AFTER_MS = 250;

export class FileView {
  constructor(map) {
    this.map = map;
    this.line = "";
    this.services = [];
    this.check = debounced(() => this.#check(), AFTER_MS);
    api.catalogue().then((answer) => {
      this.services = answer.services;
    }, () => {});
  }

  render(panel) {
    this.verdict = h("div", { role: "status", "aria-live": "polite", id: "verdict" });
    this.input = h("textarea", { id: "line", rows: 3, spellcheck: "false", "aria-describedby": "line-help", input: () => this.#typed() }, this.line);
    this.name = h("input", { id: "intent-name", autocomplete: "off", spellcheck: "false" });
    this.button = h("button", { type: "button", class: "main", id: "file-it", disabled: true, click: () => this.#file() }, t("fileIt"));
    const services = h("select", { id: "service", change: (event) => this.#start(event.target.value) },
      h("option", { value: "" }, t("startWith")),
      this.services.map((item) => h("option", { value: item.title }, `${item.title} · ${item.title_zh}`)));
    show(panel,
      h("h2", {}, t("tab.file")),
      h("p", {}, h("label", { for: "line" }, h("span", {}, t("line")))),
      this.input,
      h("p", { class: "quiet", id: "line-help" }, t("lineHelp")),
      h("div", { class: "row" },
        h("label", {}, h("span", {}, `${t("service")} `), services),
        h("button", { type: "button", id: "example", click: () => this.#set(this.#example()) }, t("example1"))),
      this.verdict,
      h("div", { class: "row" }, h("label", { class: "wide" }, h("span", {}, `${t("nameHint")} `), this.name), this.button));
    if (this.line) this.#check();
  }

  leave() {
    this.asked?.abort();
    this.map.showPaths([]);
  }

  #example() {
    const ends = state.topology.endpoints;
    const other = ends.findLast((end) => end.node !== ends[0].node) ?? ends.at(-1);
    const console1 = ends.find((end) => /console/.test(end.id) && end.node !== ends[0].node);
    return t("example", { from: ends[0]?.id, to: (console1 ?? other)?.id });
  }

  #start(service) {
    if (!service) return;
    const rest = this.input.value.replace(/^[^:：→]*?(?=\s\S+\s*(->|→)|[:：]|$)/, "");
    this.#set(rest ? service + rest : `${service} `);
    this.input.focus();
  }

  #set(line) {
    this.input.value = line;
    this.#typed(true);
  }

  #typed(now = false) {
    this.line = this.input.value;
    this.button.disabled = true;
    if (now) this.#check();
    else this.check();
  }

  /** The dry run of the line as it is now; an older one that is still under way is given up. */
  async #check() {
    this.asked?.abort();
    if (!this.line.trim()) {
      show(this.verdict);
      this.map.showPaths([]);
      return;
    }
    const asked = new AbortController();
    this.asked = asked;
    try {
      const [decision] = (await api.plan(this.line, asked.signal)).decisions;
      if (asked.signal.aborted) return;
      this.button.disabled = false;
      this.map.showPaths(decision.paths);
      const admitted = decision.decision === "admitted";
      show(this.verdict, h("div", { class: "card" },
        h("p", {}, badge(decision.decision), ` ${t(admitted ? "canDo" : "cannot")}`),
        showDecision(decision, (text) => this.#use(text))));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      this.map.showPaths([]);
      show(this.verdict, h("div", { class: "card" }, h("p", {}, h("strong", {}, t("cannotRead"))), h("p", {}, problem.message)));
    }
  }

  /** Take an offer: the figures after the colon become the offer's, in sight, and are checked again. */
  #use(text) {
    this.#set(`${this.line.split(/[:：]/, 1)[0].trim()}: ${text}`);
    this.input.focus();
  }

  async #file() {
    this.button.disabled = true;
    try {
      const [result] = (await api.file(this.line, this.name.value.trim())).intents;
      show(this.verdict, h("p", { class: "card" }, badge(result.decision.decision), " ", t("filed", { name: result.name, decision: t(result.decision.decision) }),
        " ", h("a", { href: `#/intents/${encodeURIComponent(result.name)}` }, result.name)));
      this.line = "";
      this.input.value = "";
      await refresh();
    } catch (problem) {
      show(this.verdict, h("p", { class: "card bad" }, problem.message));
      this.button.disabled = false;
    }
  }
}
