// The tree of prefixes as a map: areas are memory, a click goes deeper.

import { h, replace } from "./dom.js";
import { keysOf, percent, size } from "./format.js";
import { t } from "./language.js";
import { nameNode, nameText } from "./names.js";
import { squarify } from "./squarify.js";
import { typeClass } from "./tables.js";

/** Cells of one level; what is smaller is summed up. */
const CELLS_MAX = 60;
const HEAD = 22;
const GAP = 2;

/**
 * The tree of a report: types on top, then prefixes by bytes.
 *
 * A prefix with a single longer one that has all of its keys is one node with that.
 */
export function treeOf(report) {
  const root = { label: "", text: "", num: report.total_num, bytes: report.total_bytes, children: [] };
  const types = new Map();
  for (const { type, bytes } of report.type_bytes) {
    const num = report.type_num.find((entry) => entry.type === type)?.num ?? 0;
    if (bytes === 0) continue;
    const node = { type, isType: true, label: type, text: "", num, bytes, children: [], parent: root };
    types.set(type, node);
    root.children.push(node);
  }
  const nodes = [];
  for (const entry of report.prefix_tree ?? []) {
    const parent = entry.parent === undefined ? types.get(entry.type) : nodes[entry.parent];
    if (!parent) {
      nodes.push(null);
      continue;
    }
    const node = {
      type: parent.type,
      label: entry.segment,
      base64: entry.segment_base64,
      text: parent.text + entry.segment,
      num: entry.num,
      bytes: entry.bytes,
      lasting: entry.no_expiry_bytes,
      children: [],
      parent,
    };
    parent.children.push(node);
    nodes.push(node);
  }
  root.children.forEach(tidy);
  root.children.sort((a, b) => b.bytes - a.bytes);
  return root;
}

/** Joins chains and sorts by bytes, without recursion: names can have a thousand levels. */
function tidy(top) {
  const open = [top];
  while (open.length > 0) {
    const node = open.pop();
    let only = node.children[0];
    while (!node.isType && node.children.length === 1 && only.num === node.num && only.bytes === node.bytes) {
      node.label += only.label;
      node.base64 = node.base64 || only.base64 ? undefined : node.base64;
      node.text = only.text;
      node.children = only.children;
      node.children.forEach((child) => { child.parent = node; });
      only = node.children[0];
    }
    node.children.sort((a, b) => b.bytes - a.bytes);
    open.push(...node.children);
  }
}

/** The map as an element; `state.path` remembers where it is. */
export function treemap(report, state) {
  const root = treeOf(report);
  let node = found(root, state.path ?? []);
  const crumbs = h("nav", { class: "crumbs", "aria-label": t("zoom_path") });
  const map = h("div", { class: "treemap" });
  const about = h("p", { class: "about-cell", "aria-live": "polite" });

  const zoom = (to, focus = true) => {
    node = to;
    state.path = pathOf(to);
    draw();
    if (focus) map.querySelector("button")?.focus({ preventScroll: true });
  };
  const describe = (cell) => replace(about, cell ? description(cell, root) : t("treemap_hint"));
  const draw = () => {
    const { clientWidth: width, clientHeight: height } = map;
    replace(crumbs, crumbsOf(node, zoom));
    replace(map, cellsOf(node, { width: width || 1100, height: height || 480 }, { zoom, describe, root }));
    describe(node === root ? null : node);
  };
  draw();
  let drawnWidth = 0;
  new ResizeObserver(() => {
    if (Math.abs(map.clientWidth - drawnWidth) < 1) return;
    drawnWidth = map.clientWidth;
    draw();
  }).observe(map);
  map.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && node.parent) zoom(node.parent);
  });
  return h("div", { class: "treemap-box" }, crumbs, map, about);
}

function pathOf(node) {
  const path = [];
  for (let at = node; at.parent; at = at.parent) path.unshift(at.label);
  return path;
}

function found(root, path) {
  let node = root;
  for (const label of path) node = node.children.find((child) => child.label === label) ?? node;
  return node;
}

function crumbsOf(node, zoom) {
  const line = [];
  for (let at = node; at; at = at.parent) line.unshift(at);
  return line.map((at, place) => {
    const text = place === 0 ? t("all_keys") : at.isType ? at.type : nameNode(at.label, at.base64);
    const isLast = place === line.length - 1;
    return isLast
      ? h("span", { "aria-current": "true" }, text)
      : [h("button", { type: "button", onclick: () => zoom(at) }, text), h("i", { "aria-hidden": "true" }, "›")];
  });
}

function cellsOf(node, room, on) {
  const frame = { x: 0, y: 0, width: room.width, height: room.height };
  const cells = [];
  for (const [child, rect] of laidOut(node, frame)) {
    const inner = {
      x: rect.x + GAP + 2, y: rect.y + HEAD,
      width: rect.width - 2 * GAP - 4, height: rect.height - HEAD - GAP - 2,
    };
    const isParent = child.children.length > 0 && inner.width > 60 && inner.height > 34;
    cells.push(cell(child, rect, room, on, isParent ? "outer parent" : "outer"));
    if (!isParent) continue;
    for (const [grandchild, at] of laidOut(child, inner)) {
      cells.push(cell(grandchild, at, room, on, "inner"));
    }
  }
  return cells;
}

/** The children of a node with their rectangles, what is left over as one more. */
function laidOut(node, frame) {
  const shown = node.children.slice(0, CELLS_MAX).filter((child) => child.bytes > 0);
  const sum = (field) => shown.reduce((sum, child) => sum + child[field], 0);
  const rest = { isRest: true, type: node.type, label: "", text: node.text,
    num: node.num - sum("num"), bytes: node.bytes - sum("bytes"), children: [], parent: node };
  if (rest.bytes > 0) shown.push(rest);
  shown.sort((a, b) => b.bytes - a.bytes);
  const rects = squarify(shown.map((child) => child.bytes), frame);
  return shown.map((child, at) => [child, rects[at]]).filter(([, rect]) => rect.width > 1 && rect.height > 1);
}

function cell(node, rect, room, { zoom, describe, root }, kind) {
  const style = {
    left: `${(100 * rect.x) / room.width}%`,
    top: `${(100 * rect.y) / room.height}%`,
    width: `calc(${(100 * rect.width) / room.width}% - ${GAP}px)`,
    height: `calc(${(100 * rect.height) / room.height}% - ${GAP}px)`,
  };
  const isWide = rect.width > 44 && rect.height > 18;
  const label = isWide
    ? h("span", { class: "label" }, labelOf(node),
        rect.width > 110 ? h("span", { class: "figure" }, size(node.bytes)) : null)
    : null;
  const isLarge = rect.width > 260 && rect.height > 110 && !kind.includes("parent");
  const className = `cell ${kind} ${node.isRest ? "rest" : ""} ${isLarge ? "large" : ""} ${typeClass(node.type)}`;
  const shared = { class: className, style, onpointerenter: () => describe(node) };
  if (node.isRest) return h("div", shared, label);
  return h("button", {
    ...shared,
    type: "button",
    tabindex: kind === "inner" ? "-1" : null,
    "aria-label": spoken(node, root),
    onfocus: () => describe(node),
    onclick: () => (node.children.length > 0 ? zoom(node) : describe(node)),
  }, label);
}

function labelOf(node) {
  if (node.isRest) return t("other_keys");
  if (node.isType) return node.type;
  return nameNode(node.label, node.base64);
}

function spoken(node, root) {
  const name = node.isType ? node.type : `${node.type} ${nameText(node.text)}`;
  return `${name}: ${size(node.bytes)}, ${percent(node.bytes, root.bytes)}`;
}

function description(node, root) {
  const name = node.isRest
    ? [t("other_keys_in"), " ", node.text ? nameNode(node.text) : node.type ?? t("all_keys")]
    : node.isType ? node.type : nameNode(node.text || node.label, node.base64);
  const average = node.num > 0 ? node.bytes / node.num : 0;
  const facts = [
    size(node.bytes),
    percent(node.bytes, root.bytes),
    keysOf(node.num),
    t("average_of", { size: size(Math.round(average)) }),
  ];
  if (node.lasting !== undefined && node.bytes > 0) {
    facts.push(t("never_expires_share", { share: percent(node.lasting, node.bytes) }));
  }
  return [h("strong", { class: typeClass(node.type) }, name), h("span", {}, facts.join(" · "))];
}
