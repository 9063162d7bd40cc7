// The network map: Cytoscape on a canvas. Everything that it tells is told in words as well (`chosen`, the tables).

import cytoscape from "../vendor/cytoscape.js";
import { place, sitesOf } from "./places.js";

const MANY = 400;

/** The colours of the sheet, resolved for the theme that is on. */
function colours() {
  const probe = document.createElement("span");
  document.body.append(probe);
  const names = ["back", "card", "text", "quiet", "line", "accent", "good", "warn", "bad", "info", "hold", "mark", "edge"];
  const found = Object.fromEntries(names.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  }));
  probe.remove();
  return found;
}

function style() {
  const c = colours();
  return [
    { selector: "node", style: {
      "background-color": c.accent, width: 13, height: 13, label: "data(label)", color: c.text, "font-size": 9,
      "text-valign": "bottom", "text-margin-y": 2, "min-zoomed-font-size": 8, "border-width": 0 } },
    { selector: "node.hub", style: { width: 26, height: 26, "font-size": 24, "font-weight": "bold", "text-outline-color": c.back, "text-outline-width": 3 } },
    { selector: "node.named", style: { label: "" } },
    { selector: "node.site", style: {
      shape: "round-rectangle", "background-color": c.mark, "background-opacity": 0.55, "border-width": 1,
      "border-color": c.line, padding: 8, events: "no", label: "data(label)", "font-size": 26, "font-weight": "bold",
      "text-valign": "top", "text-outline-color": c.back, "text-outline-width": 3 } },
    { selector: "edge", style: { width: 2, "line-color": c.edge, "curve-style": "haystack", "haystack-radius": 0 } },
    { selector: "edge.load1", style: { "line-color": c.good, width: 2.5 } },
    { selector: "edge.load2", style: { "line-color": c.warn, width: 4 } },
    { selector: "edge.load3", style: { "line-color": c.bad, width: 6 } },
    { selector: "edge.down", style: { "line-color": c.bad, "line-style": "dashed", width: 4 } },
    { selector: "node.down", style: { "background-color": c.bad, shape: "diamond", width: 22, height: 22 } },
    { selector: "edge.backup", style: { "line-color": c.hold, "line-style": "dotted", width: 6, "z-index": 8 } },
    { selector: "edge.primary", style: { "line-color": c.info, width: 7, "z-index": 9 } },
    { selector: "node.end", style: { "background-color": c.info, "border-width": 3, "border-color": c.text } },
    { selector: "edge.failed", style: { "line-color": c.bad, "line-style": "dashed", width: 7, "z-index": 10 } },
    { selector: "node.failed", style: { "background-color": c.bad, shape: "star", width: 30, height: 30 } },
    { selector: ":selected", style: { "overlay-color": c.info, "overlay-opacity": 0.25, "overlay-padding": 6 } },
  ];
}

/** The elements for a topology; stated coordinates or nothing (null) for `positions`. */
function elements(topology, site, positions) {
  const sizes = new Map();
  for (const id of site.values()) sizes.set(id, (sizes.get(id) ?? 0) + 1);
  const boxed = (id) => sizes.get(id) > 1 && sizes.size > 1;
  const parents = [...sizes.keys()].filter(boxed).map((id) => ({ data: { id: `site:${id}`, label: id }, classes: "site" }));
  const nodes = topology.nodes.map((node) => ({
    data: { id: node.id, label: node.id, parent: boxed(site.get(node.id)) ? `site:${site.get(node.id)}` : undefined },
    position: positions?.[node.id],
    classes: site.get(node.id) === node.id ? (boxed(node.id) ? "hub named" : "hub") : node.site ? "hub" : "",
  }));
  const edges = topology.links.map((link) => ({ data: { id: `link:${link.id}`, source: link.a, target: link.b } }));
  return [...parents, ...nodes, ...edges];
}

export class NetworkMap {
  /** `onChoose({kind, id})` is called when a person clicks a link or a node, null when beside them. */
  constructor(container, topology, onChoose) {
    this.topology = topology;
    const site = sitesOf(topology.nodes, topology.links);
    const positions = place(topology.nodes, site);
    const many = topology.nodes.length > MANY;
    this.cy = cytoscape({
      container,
      elements: elements(topology, site, positions),
      style: style(),
      layout: { name: "preset", fit: true, padding: 25 },
      minZoom: 0.02,
      maxZoom: 6,
      boxSelectionEnabled: false,
      autoungrabify: true,
      textureOnViewport: many, // while it moves a large map is one picture that moves
      hideLabelsOnViewport: many,
      pixelRatio: many ? 1 : "auto",
    });
    this.cy.on("tap", (event) => {
      if (event.target === this.cy) onChoose(null);
      else if (event.target.isEdge()) onChoose({ kind: "link", id: event.target.id().slice(5) });
      else if (!event.target.hasClass("site")) onChoose({ kind: "node", id: event.target.id() });
    });
    if (positions === null) this.ready = this.#arrange(many);
    else this.ready = Promise.resolve();
  }

  /** Without coordinates: fcose, fetched only when it is needed. */
  async #arrange(many) {
    for (const name of ["layout-base", "cose-base", "cytoscape-fcose"]) {
      await new Promise((done, failed) => {
        const script = document.createElement("script");
        script.src = `/static/vendor/${name}.js`;
        script.addEventListener("load", done);
        script.addEventListener("error", failed);
        document.head.append(script);
      });
    }
    cytoscape.use(window.cytoscapeFcose);
    const layout = { name: "fcose", animate: false, randomize: true, quality: many ? "draft" : "default", nodeSeparation: 60 };
    this.cy.layout(layout).run();
    this.cy.fit(undefined, 25);
  }

  restyle() {
    this.cy.style(style());
  }

  link(id) {
    return this.cy.getElementById(`link:${id}`);
  }

  /** Colour and width by how full links are, and what is down. `loads`: share by link id. */
  showState(loads, downLinks, downNodes) {
    this.cy.batch(() => {
      this.cy.elements(".load1, .load2, .load3, .down").removeClass("load1 load2 load3 down");
      for (const [id, share] of loads) {
        if (share > 0) this.link(id).addClass(share < 0.5 ? "load1" : share < 0.85 ? "load2" : "load3");
      }
      for (const id of downLinks) this.link(id).addClass("down");
      for (const id of downNodes) this.cy.getElementById(id).addClass("down");
    });
  }

  /** The paths of one decision: primary solid, backups dotted, ends marked. */
  showPaths(paths) {
    this.cy.batch(() => {
      this.cy.elements(".primary, .backup, .end").removeClass("primary backup end");
      for (const path of paths) {
        for (const id of path.links) this.link(id).addClass(path.role === "primary" ? "primary" : "backup");
        for (const id of [path.nodes[0], path.nodes.at(-1)]) this.cy.getElementById(id).addClass("end");
      }
    });
  }

  showFailed(links, nodes) {
    this.cy.batch(() => {
      this.cy.elements(".failed").removeClass("failed");
      for (const id of links) this.link(id).addClass("failed");
      for (const id of nodes) this.cy.getElementById(id).addClass("failed");
    });
  }

  /** Select it and bring it into sight. */
  choose(kind, id) {
    this.cy.elements(":selected").unselect();
    const element = kind === "link" ? this.link(id) : this.cy.getElementById(id);
    if (element.empty()) return false;
    element.select();
    const seen = this.cy.extent();
    const box = element.boundingBox();
    if (box.x1 < seen.x1 || box.x2 > seen.x2 || box.y1 < seen.y1 || box.y2 > seen.y2) this.cy.center(element);
    return true;
  }

  fit() {
    this.cy.fit(undefined, 25);
  }

  zoom(factor) {
    const middle = { x: this.cy.width() / 2, y: this.cy.height() / 2 };
    this.cy.zoom({ level: this.cy.zoom() * factor, renderedPosition: middle });
  }
}
