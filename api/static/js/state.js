// What the server said last, looked at again every few seconds and whenever it says that something changed.

import { api, events } from "./api.js";

const EVERY_MS = 5000;

export const state = { topology: null, intents: [], check: null, capacity: null, chosen: null, failure: "" };
const listeners = new Set();

export const onChange = (run) => listeners.add(run);
export const changed = () => listeners.forEach((run) => run());

let running = null;

/** Fetch what changes by itself; several calls at once are one. */
export function refresh() {
  running ??= load().finally(() => {
    running = null;
  });
  return running;
}

async function load() {
  try {
    const [intents, check, capacity] = await Promise.all([api.intents(), api.check(), api.capacity()]);
    Object.assign(state, { intents: intents.intents, check, capacity, failure: "" });
  } catch (problem) {
    state.failure = problem.message;
  }
  changed();
}

export function follow() {
  setInterval(() => document.hidden || refresh(), EVERY_MS);
  events(() => refresh(), new AbortController().signal);
}

/** How full each link is, 0 to 1, in its fuller direction; what the server does not say is absent. */
export function loads() {
  const found = new Map();
  for (const row of state.capacity?.links ?? []) {
    if (row.capacity_mbps > 0) found.set(row.link, Math.max(found.get(row.link) ?? 0, row.reserved_mbps / row.capacity_mbps));
  }
  return found;
}

/** The most slices that a direction of the link carries. */
export function slices(link) {
  return Math.max(0, ...(state.capacity?.links ?? []).filter((row) => row.link === link).map((row) => row.slices));
}

/** Links and nodes that are down now, from what the switches say of their ports, and the controller of links. */
export function failures() {
  const switches = new Map((state.check?.switches ?? []).map((item) => [item.node, item]));
  const nodes = [...switches.values()].filter((item) => !item.connected).map((item) => item.node);
  const up = (node, port) => switches.get(node)?.ports_up?.[port] !== false;
  const dead = new Set((state.check?.links_avoided ?? []).filter((row) => !row.works).map((row) => row.link));
  const links = (state.topology?.links ?? []).filter((link) => dead.has(link.id) || !up(link.a, link.a_port) || !up(link.b, link.b_port)).map((link) => link.id);
  return { nodes, links };
}
