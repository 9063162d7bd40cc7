// Figures as people read them. Promises are cut, never rounded up: none may look better than it is.

import { language, t } from "./i18n.js";
import { h } from "./dom.js";

const number = (value, digits = 6) => Number(value.toPrecision(digits)).toLocaleString(language === "zh" ? "zh-CN" : "en", { maximumFractionDigits: 6 });

export const ms = (value) => (value === null || value === undefined ? "–" : `${number(value)} ms`);
export const mbps = (value) => (value === null || value === undefined ? "–" : `${number(value)} Mbit/s`);
export const percent = (value, digits = 7) => {
  if (value === null || value === undefined) return "–";
  const scale = 10 ** digits;
  return `${Number((Math.floor(value * 100 * scale + 1e-6) / scale).toFixed(digits))}%`;
};
export const when = (text) => (text ? new Date(text).toLocaleString(language === "zh" ? "zh-CN" : "en-GB") : "–");
export const ratio = (value) => (value === null || value === undefined ? "–" : `${Number((value * 100).toPrecision(3))}%`);

/** A measured or promised figure in the unit the server gave it. */
export function measured(value, unit, objective) {
  if (objective === "availability") return percent(value);
  if (unit === "ratio") return ratio(value);
  if (unit === "s") return ms(value * 1000);
  if (unit === "ms") return ms(value);
  if (unit === "bit/s" || unit === "bps") return mbps(value / 1e6);
  if (unit === "Mbps" || unit === "Mbit/s") return mbps(value);
  return `${number(value)} ${unit}`;
}

const MOODS = { Active: "good", Admitted: "good", Refused: "bad", Failed: "bad", Degraded: "bad", Suspended: "warn", admitted: "good", refused: "bad" };

/** A state as word and colour. */
export const badge = (state) => h("span", { class: `badge ${MOODS[state] ?? "quiet"}` }, t(state));

const UNITS = { ms: "ms", Mbps: "Mbit/s", ratio: "", paths: "" };

/** A reason of a refusal, as a sentence. */
export function reasonText(reason) {
  const unit = UNITS[reason.unit] ?? reason.unit ?? "";
  const figure = (value) => {
    if (value === null || value === undefined) return "–";
    if (reason.constraint === "availability") return percent(value);
    return `${number(value, 12)} ${unit}`.trim();
  };
  const place = reason.at ? ` (${reason.at})` : "";
  const text = t("reason", { what: t(`c.${reason.constraint}`) + place, required: figure(reason.required), available: figure(reason.available) });
  return reason.detail ? `${text} ${reason.detail}` : text;
}

/** An offer as the end of an intent line, in the grammar of docs/reference/line.md. */
export function offerLine(offer) {
  const parts = [];
  if (offer.delay_ms != null) parts.push(`${offer.delay_ms} ms${offer.round_trip ? " round trip" : ""}`);
  if (offer.availability != null) parts.push(`${percent(offer.availability, 10)}`);
  if (offer.bandwidth_mbps != null) {
    const both = offer.reverse_mbps == null || offer.reverse_mbps === offer.bandwidth_mbps;
    parts.push(both ? `${offer.bandwidth_mbps} Mbps` : `${offer.bandwidth_mbps} Mbps up / ${offer.reverse_mbps} Mbps down`);
  }
  parts.push(offer.jitter_ms != null ? `jitter ${offer.jitter_ms} ms` : "jitter none");
  parts.push(offer.loss != null ? `loss ${Number((offer.loss * 100).toPrecision(12))}%` : "loss none");
  if (offer.protection === "none") parts.push("unprotected");
  if (offer.protection === "required") parts.push("protected");
  return parts.join(", ");
}
