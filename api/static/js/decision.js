// A decision, shown: what holds, or why not and what would.

import { h, table } from "./dom.js";
import { mbps, ms, offerLine, percent, reasonText } from "./format.js";
import { t } from "./i18n.js";

/** `onOffer(text, offer, index)` makes each offer a button. */
export function showDecision(decision, onOffer) {
  const parts = [];
  if (decision.paths.length) {
    if (decision.availability !== null) parts.push(h("p", {}, `${t("availability")}: ${percent(decision.availability)}`));
    const several = new Set(decision.paths.map((path) => path.to)).size > 1;
    const headers = [t("role"), ...(several ? [t("to")] : []), t("via"), t("reserved"), t("worst"), t("varies")];
    parts.push(
      h("h3", {}, t("paths")),
      table(t("paths"), headers, decision.paths.map((path) => [
        t(path.role), ...(several ? [path.to] : []), path.nodes.join(" – "), { number: mbps(path.reserved_mbps) },
        { number: ms(path.round_trip_bound_ms ?? path.delay_bound_ms) }, { number: ms(path.jitter_bound_ms) },
      ])),
    );
  }
  if (decision.reasons.length) {
    parts.push(h("h3", {}, t("reasons")), h("ol", {}, decision.reasons.map((reason) => h("li", {}, reasonText(reason)))));
  }
  if (decision.offers.length) {
    parts.push(h("h3", {}, t("offers")), h("ul", { class: "plain" }, decision.offers.map((offer, index) => {
      const text = offerLine(offer);
      const use = onOffer && h("button", { type: "button", id: `offer-${index}`, click: () => onOffer(text, offer, index) }, t("useOffer"));
      const when = Object.entries(offer.schedule ?? {}).map(([name, value]) => `, ${name} ${value}`).join("");
      return h("li", {}, h("span", { class: "row" }, h("span", { class: "wide" }, text + when), use));
    })));
  }
  if (!decision.proven) parts.push(h("p", { class: "warn" }, t("cutShort")));
  if (decision.assumptions?.length) {
    parts.push(h("details", {}, h("summary", {}, t("assumptions")), h("ul", { class: "plain" }, decision.assumptions.map((text) => h("li", {}, text)))));
  }
  return parts;
}
