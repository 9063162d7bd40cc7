// The last minutes of a shaped slice, drawn by uPlot: offered, allowed, used, in Mbit/s over all its sites.

import uPlot from "../vendor/uplot.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

const KEPT = 150;
const FIELDS = { offered: "--warn", allowed: "--good", used: "--info" };

export class Trail {
  times = [];
  values = Object.fromEntries(Object.keys(FIELDS).map((field) => [field, []]));

  add(now) {
    this.times.push(Date.now() / 1000);
    for (const field of Object.keys(FIELDS)) this.values[field].push(now[field]);
    if (this.times.length > KEPT) for (const column of [this.times, ...Object.values(this.values)]) column.shift();
  }

  /** A picture with its meaning in words; the table under it has the figures. */
  chart(words) {
    const frame = h("div", { role: "img", "aria-label": words });
    if (this.times.length < 2) return frame;
    const colour = (name) => resolved(`var(${name})`);
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const series = Object.entries(FIELDS).map(([field, name]) => ({ label: t(field), stroke: colour(name), width: 2, points: { show: false } }));
    const options = {
      width: 480, height: 150, legend: { show: true, live: false }, cursor: { show: false },
      axes: [{ ...axis }, { ...axis, size: 60 }], series: [{}, ...series],
      scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
    };
    new uPlot(options, [this.times, ...Object.values(this.values)], frame);
    for (const table of frame.querySelectorAll("table")) table.setAttribute("role", "presentation");
    return frame;
  }
}

function resolved(value) {
  const probe = h("span");
  probe.style.color = value;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
