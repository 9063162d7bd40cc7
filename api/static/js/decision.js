// A decision, shown: what holds, or why not and what would.

import { h, table } from "./dom.js";
import { mbps, ms, offerLine, percent, reasonText } from "./format.js";
import { t } from "./i18n.js";

function remedyLine(row) {
  if (row.kind === "remove-intent") return t("without", { name: row.name ?? t("anothers") });
  return t("widened", { name: row.link ?? row.endpoint, to: mbps(row.to_mbps), from: mbps(row.from_mbps) });
}

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
  if (decision.shared?.length) {
    parts.push(h("ul", { class: "plain", id: "shared" }, decision.shared.map((port) => h("li", {}, t("sharedPort", {
      sites: port.sites, speakers: decision.speakers, rate: mbps(port.reserved_mbps), link: port.link, node: port.node,
    })))));
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
  if (decision.fits_now) parts.push(h("p", {}, t("fitsNow")));
  if (decision.remedies?.length) {
    parts.push(h("h3", {}, t("remedies")), h("ul", { class: "plain", id: "remedies" }, decision.remedies.map((row) => h("li", {}, remedyLine(row)))));
  }
  if (!decision.proven) parts.push(h("p", { class: "warn" }, t("cutShort")));
  if (decision.assumptions?.length) {
    parts.push(h("details", {}, h("summary", {}, t("assumptions")), h("ul", { class: "plain" }, decision.assumptions.map((text) => h("li", {}, text)))));
  }
  return parts;
}
