// Where nodes go on the map. Stated coordinates decide; a node without any joins the nearest site that has some, on a
// spiral around it. That is instant and the same every time; a network without coordinates is laid out by fcose instead.

const SPREAD = 15;
const TURN = Math.PI * (3 - Math.sqrt(5)); // the golden angle: a spiral without gaps (Vogel 1979)

/** For each node the id of its site's first node: nodes of one stated site together, others with the nearest site. */
export function sitesOf(nodes, links) {
  const site = new Map();
  const first = new Map();
  const stated = nodes.some((node) => node.site || located(node));
  for (const node of nodes) {
    if (!node.site && !located(node) && stated) continue;
    const name = node.site ?? node.id;
    if (!first.has(name)) first.set(name, node.id);
    site.set(node.id, first.get(name));
  }
  const beside = new Map(nodes.map((node) => [node.id, []]));
  for (const link of links) {
    beside.get(link.a).push(link.b);
    beside.get(link.b).push(link.a);
  }
  const waiting = [...site.keys()];
  for (let next = 0; next < waiting.length; next += 1) {
    for (const other of beside.get(waiting[next])) {
      if (site.has(other)) continue;
      site.set(other, site.get(waiting[next]));
      waiting.push(other);
    }
  }
  for (const node of nodes) if (!site.has(node.id)) site.set(node.id, node.id);
  return site;
}

const located = (node) => typeof node.lat === "number" && typeof node.lon === "number";

/** Positions by node, or null when too few sites have coordinates to make a map of them. */
export function place(nodes, site) {
  const members = Map.groupBy(nodes, (node) => site.get(node.id));
  const anchors = [];
  for (const [id, group] of members) {
    const known = group.filter(located);
    if (known.length === 0) return null;
    const mean = (field) => known.reduce((sum, node) => sum + node[field], 0) / known.length;
    anchors.push({ id, group, radius: SPREAD * (1.1 * Math.sqrt(group.length) + 2.5), ...project(mean("lat"), mean("lon")) });
  }
  scale(anchors);
  pushApart(anchors);
  const positions = {};
  for (const anchor of anchors) {
    anchor.group.forEach((node, index) => {
      const far = SPREAD * Math.sqrt(index) * 1.1;
      positions[node.id] = { x: anchor.x + far * Math.cos(index * TURN), y: anchor.y + far * Math.sin(index * TURN) };
    });
  }
  return positions;
}

/** Spherical Mercator, in degrees of longitude. */
function project(lat, lon) {
  const bounded = Math.max(-85, Math.min(85, lat));
  return { x: lon, y: (-180 / Math.PI) * Math.log(Math.tan(Math.PI / 4 + (bounded * Math.PI) / 360)) };
}

/** So that the map's area is a few times what the sites need. */
function scale(anchors) {
  const span = (field) => Math.max(...anchors.map((a) => a[field])) - Math.min(...anchors.map((a) => a[field]));
  const needed = 2.6 * Math.sqrt(anchors.reduce((sum, anchor) => sum + 4 * anchor.radius ** 2, 0));
  const factor = needed / (Math.max(span("x"), span("y")) || 1);
  for (const anchor of anchors) {
    anchor.x *= factor;
    anchor.y *= factor;
  }
}

function pushApart(anchors) {
  if (anchors.length > 400) return; // quadratic; a map that dense is read zoomed in
  for (let round = 0; round < 40; round += 1) {
    let moved = false;
    for (let i = 0; i < anchors.length; i += 1) {
      for (let j = i + 1; j < anchors.length; j += 1) {
        const [a, b] = [anchors[i], anchors[j]];
        const [dx, dy] = [b.x - a.x || 0.01 * (j - i), b.y - a.y || 0.01];
        const lack = a.radius + b.radius - Math.hypot(dx, dy);
        if (lack <= 0) continue;
        const share = lack / 2 / Math.hypot(dx, dy);
        a.x -= dx * share;
        a.y -= dy * share;
        b.x += dx * share;
        b.y += dy * share;
        moved = true;
      }
    }
    if (!moved) return;
  }
}
