// Two views of what the server reports: consultations as they are shaped now, and the audit trail.

import { api } from "./api.js";
import { h, meter, show, table } from "./dom.js";
import { mbps, when } from "./format.js";
import { t } from "./i18n.js";

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
  ask = () => api.consultations();

  draw(answer) {
    if (!answer.consultations?.length) return h("p", { class: "quiet" }, t("consultationsNone"));
    return answer.consultations.map((item) => h("div", { class: "card" },
      h("h3", {}, h("a", { href: `#/intents/${encodeURIComponent(item.name)}` }, item.name)),
      table(item.name, [t("site"), t("offered"), t("allowed"), t("used"), t("floor")], item.sites.map((site) => [
        site.site, { number: mbps(site.offered_mbps) }, { number: mbps(site.allowed_mbps) },
        site.allowed_mbps ? meter(site.used_mbps / site.allowed_mbps, mbps(site.used_mbps)) : mbps(site.used_mbps), { number: mbps(site.floor_mbps) },
      ]))));
  }
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
