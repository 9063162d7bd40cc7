// Two views of what the server reports: consultations as they are shaped now, and the audit trail.

import { api } from "./api.js";
import { h, meter, show, table } from "./dom.js";
import { mbps, when } from "./format.js";
import { t } from "./i18n.js";
import { state } from "./state.js";

const EPOCH_MS = 2000;

class Report {
  render(panel) {
    this.panel = panel;
    show(panel, h("p", { class: "quiet" }, t("loading")));
    return this.update();
  }

  leave() {
    this.panel = null;
  }

  async update() {
    const panel = this.panel;
    let shown;
    try {
      const answer = await this.ask();
      shown = answer === null ? h("p", { class: "quiet" }, t("notThere")) : this.draw(answer);
    } catch (problem) {
      shown = h("p", { class: "bad" }, problem.message);
    }
    if (this.panel === panel && panel) show(panel, h("h2", {}, t(this.title)), h("p", { class: "quiet" }, t(this.help)), shown);
  }
}

export class ConsultationsView extends Report {
  title = "tab.consultations";
  help = "consultationsHelp";
  trails = new Map();

  /** The plotting library is fetched with the first look at this view: the map must not wait for it. */
  async ask() {
    this.Trail ??= (await import("./trail.js")).Trail;
    return api.consultations();
  }

  render(panel) {
    this.timer ??= setInterval(() => document.hidden || this.update(), EPOCH_MS);
    return super.render(panel);
  }

  leave() {
    clearInterval(this.timer);
    this.timer = null;
    super.leave();
  }

  draw(answer) {
    const services = new Map(state.intents.map((row) => [row.name, row.service]));
    if (answer.consultations.length === 0) return h("p", { class: "quiet" }, t("consultationsNone"));
    return answer.consultations.map((item) => {
      const trail = this.trails.get(item.name) ?? new this.Trail();
      this.trails.set(item.name, trail);
      const total = (field) => item.sites.reduce((sum, site) => sum + (site[field] ?? 0), 0);
      const now = { offered: total("offered_mbps"), allowed: total("ceiling_mbps"), used: total("used_mbps") };
      trail.add(now);
      const words = Object.fromEntries(Object.entries(now).map(([field, value]) => [field, mbps(value)]));
      return h("div", { class: "card" },
        h("h3", {}, h("a", { href: `#/intents/${encodeURIComponent(item.name)}` }, item.name), ` ${services.get(item.name) ?? ""}`),
        trail.chart(t("chart", { name: item.name, ...words })),
        table(item.name, [t("site"), t("offered"), t("allowed"), t("used"), t("floor")], item.sites.map(siteRow)));
    });
  }
}

function siteRow(site) {
  const share = site.ceiling_mbps && site.used_mbps !== null ? meter(site.used_mbps / site.ceiling_mbps, mbps(site.used_mbps)) : "–";
  return [
    `${site.site} → ${site.to.length > 2 ? site.to.length : site.to.join(", ")}`,
    site.used_mbps !== null ? { number: mbps(site.offered_mbps) } : h("span", { class: "warn" }, t("noMeasurement")),
    { number: mbps(site.ceiling_mbps) },
    share,
    { number: mbps(site.floor_mbps) },
  ];
}

export class AuditView extends Report {
  title = "tab.audit";
  help = "auditHelp";
  ask = () => api.audit();

  draw(answer) {
    const rows = answer.entries;
    return table(t("tab.audit"), [t("at"), t("who"), t("what"), t("on"), t("request")], rows.map((row) => [
      when(row.at), `${row.subject} (${row.role})`, row.action, row.target, row.request_id,
    ]));
  }
}
