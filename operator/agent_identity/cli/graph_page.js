"use strict";
// Everything that is shown of the graph goes through textContent: names may be a stranger's.

const graph = JSON.parse(document.getElementById("graph").textContent);
const SHOWN = 100;
const DRAWN = 8;
const LOOKS = { "in force": "in-force", shadow: "warn", anybody: "warn", "not known": "warn" };
const lookOf = (state) => LOOKS[state] ?? "dashed";
const callable = (edge) => lookOf(edge.state) !== "dashed";

const ranks = new Map(Object.keys(graph.kinds).map((kind, rank) => [kind, rank]));
graph.nodes.sort((one, other) => ranks.get(one.kind) - ranks.get(other.kind));
const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
const into = gathered((edge) => edge.target);
const outOf = gathered((edge) => edge.source);
const places = new Map(graph.nodes.map((node) => [hashOf(node), node]));

const main = document.getElementById("main");
const query = document.getElementById("query");
const filter = document.getElementById("filter");
const found = document.getElementById("found");

function gathered(end) {
  const lists = new Map();
  for (const edge of graph.edges) {
    if (!lists.has(end(edge))) lists.set(end(edge), []);
    lists.get(end(edge)).push(edge);
  }
  return lists;
}

function hashOf(node) {
  if (node.kind === "Anybody") return "#Anybody";
  const name = `${encodeURIComponent(node.namespace)}/${encodeURIComponent(node.name)}`;
  return node.kind === "AgentIdentity" ? `#${name}` : `#${node.kind}:${name}`;
}

function nameOf(node) {
  if (node.kind === "Anybody") return "anybody";
  if (node.kind === "AllAgentIdentities") return `every agent of ${node.namespace}`;
  if (node.kind === "AgentAccessGrant") return `grant ${node.namespace}/${node.name}`;
  return `${node.namespace}/${node.name}`;
}

// --- making elements

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const linkTo = (node) => make("a", { href: hashOf(node) }, nameOf(node));
const counted = (number, one, more) => `${number.toLocaleString("en")} ${number === 1 ? one : more}`;

/** A list that shows its first items, and the others when asked for. */
function listOf(items, itemOf, attributes = {}) {
  const list = make("ul", { role: "list", ...attributes });
  const whole = make("div", {}, list);
  const show = (from) => {
    list.append(...items.slice(from, from + SHOWN).map(itemOf));
    const rest = items.length - from - SHOWN;
    if (rest <= 0) return;
    const button = make("button", { type: "button" }, `Show more (${rest.toLocaleString("en")} left)`);
    button.addEventListener("click", () => {
      const next = list.children.length;
      button.remove();
      show(next);
      list.children[next].querySelector("a")?.focus();
    });
    whole.append(button);
  };
  show(0);
  return whole;
}

// --- what an agent may

/** Edges that hold for a node: an agent is also one of every agent of its namespace. */
function outgoing(node) {
  const own = outOf.get(node.id) ?? [];
  if (node.kind !== "AgentIdentity") return own;
  const group = outOf.get(`AllAgentIdentities ${node.namespace}/*`) ?? [];
  const listed = new Set(own.map((edge) => `${edge.target}\n${edge.via}`));
  const shared = group.filter((edge) => !listed.has(`${edge.target}\n${edge.via}`));
  return [...own, ...shared.map((edge) => asMember(edge, node))];
}

function asMember(edge, node) {
  const via = `${edge.via}, for every agent of ${node.namespace}`;
  const out = node.trouble && callable(edge);
  return out ? { ...edge, via, state: "not there", why: node.trouble } : { ...edge, via };
}

function byEnd(edges, end) {
  const ends = new Map();
  for (const edge of edges) {
    if (!ends.has(edge[end])) ends.set(edge[end], []);
    ends.get(edge[end]).push(edge);
  }
  const all = [...ends].map(([id, list]) => ({ node: nodes.get(id), edges: list }));
  return all.sort((one, other) => (other.node.id === "Anybody") - (one.node.id === "Anybody"));
}

// --- the list on the left

const text = new Map(
  graph.nodes.map((node) => [
    node.id,
    `${node.id} ${nameOf(node)} ${node.account} ${node.agent_class} ${node.guards}`.toLowerCase(),
  ]),
);
const isOpen = (node) => (into.get(node.id) ?? []).some((edge) => edge.source === "Anybody");
const lacks = (node) =>
  [...(into.get(node.id) ?? []), ...outgoing(node)].some((edge) => !callable(edge));
const FILTERS = {
  all: () => true,
  open: isOpen,
  refused: (node) => [...(into.get(node.id) ?? []), ...outgoing(node)].some(isRefused),
  missing: lacks,
  trouble: (node) => node.trouble !== "",
};

function search() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = FILTERS[filter.value];
  const matching = graph.nodes.filter(
    (node) => words.every((word) => text.get(node.id).includes(word)) && kept(node),
  );
  found.replaceChildren(...matching.slice(0, SHOWN).map(foundItem));
  const shown = matching.length > SHOWN ? `; the first ${SHOWN} are shown` : "";
  const all = graph.nodes.length.toLocaleString("en");
  document.getElementById("count").textContent =
    matching.length === 0
      ? "Nobody matches. Look for part of a name, namespace, account or class."
      : `${matching.length.toLocaleString("en")} of ${all}${shown}`;
}

function foundItem(node) {
  const link = linkTo(node);
  if (hashOf(node) === location.hash) link.setAttribute("aria-current", "page");
  if (node.kind === "ServiceAccount") link.append(make("span", { class: "faint" }, " ServiceAccount"));
  if (node.trouble) link.append(make("span", { class: "trouble" }, node.stalls ? " (stalls)" : " (not there)"));
  return make("li", {}, link);
}

function moveInList(event) {
  const links = [...found.querySelectorAll("a")];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || links.length === 0) return;
  event.preventDefault();
  const at = links.indexOf(document.activeElement) + step;
  if (at < 0) query.focus();
  else links[Math.min(at, links.length - 1)].focus();
}

// --- one agent

function page(node) {
  const incoming = into.get(node.id) ?? [];
  const out = outgoing(node);
  return [
    make("h2", { tabindex: "-1" }, nameOf(node)),
    about(node),
    drawing(node, incoming, out),
    ...section("May call it", incoming.filter(callable), "source", (named) => besidesIn(node, named)),
    ...section("It may call", out.filter(callable), "target", (named) => besidesOut(node, named)),
    ...without("Asks to call it, and is not granted", incoming, "source", isRefused),
    ...without("Named as callers, but not let in", incoming, "source", isLeftOut),
    ...without("It asks for, and is not granted", out, "target", isRefused),
    ...without("It is named by, but may not call", out, "target", isLeftOut),
  ];
}

/** What there is to say of calls that no rule names. */
function besidesIn(node, named) {
  const told = node.others || (node.kind === "AgentIdentity" ? "" : "No rule is about calls to it.");
  return told ? make("p", {}, named ? told : told.replace("Nobody else", "Nobody")) : null;
}

function besidesOut(node, named) {
  const open = outOf.get("Anybody") ?? [];
  if (node.kind === "Anybody" || open.length === 0) return named ? null : make("p", {}, "Nothing.");
  const told = named ? "Besides, it may call " : "Nothing by a rule. It may call ";
  const link = make("a", { href: "#Anybody" }, counted(open.length, "other", "others"));
  return make("p", {}, told, link, " that anybody may call.");
}

function about(node) {
  const rows = [
    ["Kind", `${node.kind}: ${graph.kinds[node.kind]}`],
    ["ServiceAccount", node.account],
    ["Class", node.agent_class],
    ["Guards", node.guards],
    ["Trouble", node.trouble],
  ].filter(([, value]) => value);
  const cells = rows.flatMap(([name, value]) => [
    make("dt", {}, name),
    make("dd", name === "Trouble" ? { class: "trouble" } : {}, value),
  ]);
  return make("dl", {}, ...cells);
}

/** besides: makes what follows the list, told whether anything is in it. */
function section(title, edges, end, besides) {
  const ends = byEnd(edges, end);
  return [
    make("h3", {}, ends.length ? `${title} (${ends.length.toLocaleString("en")})` : title),
    ends.length ? listOf(ends, endItem, { class: "ends" }) : null,
    besides(ends.length > 0),
  ].filter(Boolean);
}

const isRefused = (edge) => edge.state === "not granted";
const isLeftOut = (edge) => !callable(edge) && !isRefused(edge);

/** What is not in force; nothing where there is none of it. */
function without(title, edges, end, kept) {
  const some = edges.filter(kept);
  return some.length ? section(title, some, end, () => null) : [];
}

function endItem({ node, edges }) {
  return make("li", {}, linkTo(node), " ", make("span", { class: "faint" }, graph.kinds[node.kind]),
    make("ul", { role: "list" }, ...edges.map(edgeItem)));
}

function edgeItem(edge) {
  return make("li", {},
    make("span", { class: `state ${lookOf(edge.state)}` }, edge.state), ": ",
    edge.calls ? make("span", { class: "calls" }, `${edge.calls} `) : null,
    edge.via ? make("span", { class: "faint" }, `by ${edge.via}`) : null,
    edge.why ? make("div", { class: "faint" }, edge.why) : null);
}

// --- the drawing

function drawing(node, incoming, out) {
  const left = byEnd(incoming, "source").slice(0, DRAWN);
  const right = byEnd(out, "target").slice(0, DRAWN);
  if (left.length + right.length === 0) return null;
  const wide = matchMedia("(min-width: 48rem)").matches;
  const size = wide ? { width: 800, box: 220, letters: 28 } : { width: 400, box: 116, letters: 14 };
  const height = Math.max(left.length, right.length, 1) * 44 + 12;
  const middle = { x: (size.width - size.box) / 2, y: height / 2 };
  const parts = [arrowHead()];
  left.forEach((end, at) => {
    const spot = { x: 2, y: rowOf(at, left.length, height) };
    parts.push(line(spot, middle, size.box, end.edges), box(end.node, spot, size, ""));
  });
  right.forEach((end, at) => {
    const spot = { x: size.width - size.box - 2, y: rowOf(at, right.length, height) };
    parts.push(line(middle, spot, size.box, end.edges), box(end.node, spot, size, ""));
  });
  parts.push(box(node, middle, size, "self"));
  const picture = draw("svg", { viewBox: `0 0 ${size.width} ${height}`, "aria-hidden": "true" }, ...parts);
  return make("figure", {}, picture, caption(incoming, out));
}

function caption(incoming, out) {
  const ends = byEnd(incoming, "source").length + byEnd(out, "target").length;
  const some = ends > DRAWN ? `Up to ${DRAWN} on each side; all are` : "All are";
  return make("figcaption", {}, `Callers on the left, called on the right; dashed is not in force. ${some} in the lists below.`);
}

const rowOf = (at, count, height) => (height / (count + 1)) * (at + 1);

function arrowHead() {
  return draw("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
    draw("path", { d: "M0 0 L8 4 L0 8 Z" }));
}

function line(from, to, width, edges) {
  const x = from.x + width;
  const bend = (to.x - x) / 2;
  const looks = edges.map((edge) => lookOf(edge.state));
  const look = ["in-force", "warn", "dashed"].find((one) => looks.includes(one));
  const d = `M${x} ${from.y} C${x + bend} ${from.y} ${to.x - bend} ${to.y} ${to.x} ${to.y}`;
  return draw("g", { class: look }, draw("path", { d, "marker-end": "url(#arrow)" }));
}

function box(node, spot, size, look) {
  const name = nameOf(node);
  const short = name.length > size.letters ? `${name.slice(0, size.letters - 1)}…` : name;
  const inner = draw("g", { class: look },
    draw("title", {}, name),
    draw("rect", { x: spot.x, y: spot.y - 16, width: size.box, height: 32, rx: 5 }),
    draw("text", { x: spot.x + 8, y: spot.y + 4.5 }, short));
  return draw("a", { href: hashOf(node), tabindex: "-1" }, inner);
}

// --- nobody selected

function overview() {
  const of = (kind) => graph.nodes.filter((node) => node.kind === kind).length;
  const numbers = Object.keys(graph.kinds)
    .filter((kind) => of(kind))
    .map((kind) => make("li", {}, counted(of(kind), kind, kind)));
  return [
    make("h2", { tabindex: "-1" }, graph.nodes.length ? "All agents" : "There is no agent"),
    graph.nodes.length
      ? make("p", {}, "Find one on the left to see who may call it, and whom it may call.")
      : make("p", {}, "Nothing that was read is an AgentIdentity."),
    make("ul", { class: "numbers", role: "list" }, ...numbers),
    make("h3", {}, "What is between them"),
    make("dl", {}, ...Object.entries(graph.states).flatMap(stateRow)),
  ];
}

/** What was assumed or could not be read is told on every page. */
function notes() {
  const details = document.getElementById("notes");
  details.hidden = graph.notes.length === 0;
  const number = counted(graph.notes.length, "thing", "things");
  details.querySelector("summary").textContent = `${number} assumed, or not to be read`;
  details.append(listOf(graph.notes, (note) => make("li", {}, note)));
}

function stateRow([state, meaning]) {
  const number = graph.edges.filter((edge) => edge.state === state).length;
  return [
    make("dt", { class: `state ${lookOf(state)}` }, state),
    make("dd", {}, `${number.toLocaleString("en")}. ${meaning}`),
  ];
}

// --- going places

function show() {
  const node = places.get(location.hash);
  const unknown = !node && location.hash.length > 1;
  main.replaceChildren(...(node ? page(node) : overview()).filter(Boolean));
  if (unknown) {
    main.prepend(make("p", { role: "alert" }, `${location.hash.slice(1)} is not in this graph.`));
  }
  document.title = node ? `${nameOf(node)}: who may call whom` : "Who may call whom";
  for (const link of found.querySelectorAll("a")) {
    if (link.getAttribute("href") === location.hash) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function go() {
  show();
  main.querySelector("h2").focus();
}

document.getElementById("origin").textContent =
  graph.origin === "cluster"
    ? "Read from a cluster, as far as whoever made this page may read it."
    : "Read from files: as it is once the operator has done its work.";
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.querySelector("nav").addEventListener("keydown", moveInList);
query.addEventListener("keydown", (event) => {
  if (event.key === "Enter") found.querySelector("a")?.click();
});
document.addEventListener("keydown", (event) => {
  const typing = ["INPUT", "SELECT"].includes(document.activeElement.tagName);
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  query.focus();
});
query.addEventListener("input", search);
filter.addEventListener("change", search);
addEventListener("hashchange", go);
notes();
search();
show();
