// Calls to the server that served the page, and to nobody else. The key lives in this tab's session storage only.

const KEY = "carelane.key";

export class Problem extends Error {
  constructor(status, body) {
    const place = [body.field, body.line ? `line ${body.line}` : ""].filter(Boolean).join(", ");
    const parts = [body.message ?? body.detail ?? `status ${status}`, body.expected, body.remedy].filter(Boolean);
    super((place ? `${place}: ` : "") + parts.join(". "));
    this.status = status;
    this.body = body;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

let onDenied = () => {};
/** Called with the problem whenever the server wants a key, or another one. */
export function whenDenied(run) {
  onDenied = run;
}

function headers(more = {}) {
  const given = key.get();
  return { Accept: "application/json, application/problem+json", ...(given ? { Authorization: `Bearer ${given}` } : {}), ...more };
}

async function call(method, path, { body, signal, query, more } = {}) {
  const asked = new URLSearchParams(Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== ""));
  const response = await fetch(path + (asked.size ? `?${asked}` : ""), {
    method,
    signal,
    credentials: "omit",
    headers: headers({ ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...more }),
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const problem = new Problem(response.status, answer ?? {});
  if (response.status === 401) onDenied(problem);
  throw problem;
}

/** The answer, or null where this server has no such route, or this key may not use it. */
async function optional(method, path, options) {
  try {
    return await call(method, path, options);
  } catch (problem) {
    if (problem.status === 404 || problem.status === 405 || problem.status === 403) return null;
    throw problem;
  }
}

/** All rows of a list that comes by pages. */
async function pages(path, rows) {
  const found = [];
  for (let cursor = ""; cursor !== null;) {
    const page = await call("GET", path, { query: { limit: 1000, cursor } });
    found.push(...page[rows]);
    cursor = page.next_cursor;
  }
  return { [rows]: found };
}

const name = encodeURIComponent;

export const api = {
  topology: () => call("GET", "/v1/topology"),
  check: () => optional("GET", "/v1/topology/check"),
  capacity: () => optional("GET", "/v1/capacity"),
  catalogue: () => call("GET", "/v1/catalogue"),
  intents: () => pages("/v1/intents", "intents"),
  intent: (id) => call("GET", `/v1/intents/${name(id)}`),
  decision: (id) => call("GET", `/v1/plans/${name(id)}`),
  compliance: (id) => optional("GET", `/v1/intents/${name(id)}/compliance`),
  withdraw: (id) => call("DELETE", `/v1/intents/${name(id)}`),
  plan: (line, signal) => call("POST", "/v1/plans", { body: { line }, signal }),
  file: (line, id) => call("POST", "/v1/intents", { body: id ? { line, name: id } : { line } }),
  accept: (id, offer) => call("POST", `/v1/intents/${name(id)}/offers/${offer}`, { body: {} }),
  whatIf: (links, nodes) => optional("POST", "/v1/what-if", { body: { links, nodes } }),
  consultations: () => optional("GET", "/v1/consultations"),
  audit: () => optional("GET", "/v1/audit", { query: { limit: 100 } }),
};

/** Server-sent events, read by fetch because EventSource cannot send a key. Ends when `signal` says so. */
export async function events(onEvent, signal) {
  let last = "";
  for (;;) {
    try {
      const response = await fetch("/v1/events", {
        signal,
        credentials: "omit",
        headers: headers({ Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) }),
      });
      if ([401, 403, 404, 405].includes(response.status)) return false;
      if (response.ok) last = await read(response.body, onEvent, last);
    } catch (error) {
      if (signal.aborted) return true;
    }
    await new Promise((done) => setTimeout(done, 2000));
  }
}

async function read(body, onEvent, before) {
  let last = before;
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + text.replaceAll("\r", "")).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s, 2)));
      if (fields.id) last = fields.id;
      if (fields.data !== undefined) onEvent(fields.event ?? "message", fields.data);
    }
  }
  return last;
}
