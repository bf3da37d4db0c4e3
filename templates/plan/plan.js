"use strict";
// Tables of the plan: filtered in memory, drawn a page at a time, so that 10,000 rows stay quick.
const data = JSON.parse(document.getElementById("data").textContent);
const words = JSON.parse(document.getElementById("words").textContent);
const text = (n) => data.texts[n];
const word = (w) => words[w] || w;
const fill = (w, holes) => words[w].replace(/\{(\w+)\}/g, (whole, name) => (name in holes ? holes[name] : whole));
const PAGE = 100, PRINTED = 2000;
const RANK = { blocker: 0, critical: 0, major: 1, warning: 1, minor: 2, info: 2 };
const digits = new Intl.NumberFormat(document.documentElement.lang);
const say = (n) => digits.format(n);

function element(name, content, cls) {
  const made = document.createElement(name);
  if (cls) made.className = cls;
  made.textContent = content;
  return made;
}
function cell(row, content, cls) {
  const td = row.insertCell();
  if (cls) td.append(element("span", content, "tag " + cls));
  else td.textContent = content;
  return td;
}
function head(row, title, under) {
  const th = document.createElement("th");
  th.scope = "row";
  th.append(title, element("div", under, "count"));
  row.append(th);
}
const subject = (row, n) => {
  const r = data.resources[n];
  head(row, text(r[0]), `${text(r[1])} · ${text(r[2])}${text(r[4]) ? " · " + text(r[4]) : ""}`);
};
const severities = (rows) => rows.map((r, n) => [RANK[text(r[1])], n]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((pair) => rows[pair[1]]);
const owner = (r) => data.resources[r[0]];

const views = {
  losses: {
    rows: severities(data.losses),
    facets: { severity: (r) => text(r[1]), application: (r) => text(owner(r)[4]) },
    hay: (r) => [text(owner(r)[0]), text(owner(r)[1]), text(r[2]), text(r[3])],
    draw(row, r) { cell(row, word(text(r[1])), text(r[1])); subject(row, r[0]); cell(row, "").append(element("code", text(r[2]))); cell(row, text(r[3])); },
  },
  findings: {
    rows: severities(data.findings),
    facets: { severity: (r) => text(r[1]), application: (r) => text(owner(r)[4]) },
    hay: (r) => [text(owner(r)[0]), text(owner(r)[1]), text(r[2]), text(r[3])],
    draw(row, r) { cell(row, word(text(r[1])), text(r[1])); subject(row, r[0]); cell(row, text(r[3])).append(element("div", text(r[2]), "count")); },
  },
  rewire: {
    rows: data.rewire,
    facets: { application: (r) => text(r[0]) },
    hay: (r) => r.map(text),
    draw(row, r) { cell(row, text(r[0])); cell(row, text(r[1])); cell(row, "").append(element("code", text(r[2]))); cell(row, text(r[3])); },
  },
  resources: {
    rows: data.resources,
    facets: { disposition: (r) => text(r[6]), application: (r) => text(r[4]), type: (r) => text(r[1]) },
    hay: (r) => [text(r[0]), text(r[1]), text(r[2]), text(r[3]), text(r[4]), text(r[7]), text(r[9]), ...r[8].map((b) => text(b[1]))],
    draw(row, r) {
      head(row, text(r[0]), `${text(r[1])} · ${text(r[2])} · ${text(r[3])}`);
      cell(row, text(r[4]));
      cell(row, r[5] || "");
      cell(row, word(text(r[6])));
      const last = cell(row, text(r[7]));
      if (r[8].length) {
        const made = r[8].slice(0, 6).map((b) => `${text(b[0])} ${text(b[1])}`).join(", ");
        const rest = r[8].length > 6 ? " " + fill("and {n} more", { n: r[8].length - 6 }) : "";
        last.append(element("div", `${words.becomes}${words[":"]} ${made}${rest}`, "count"));
      }
    },
  },
};

for (const [name, view] of Object.entries(views)) {
  const root = document.getElementById(name);
  const body = root.querySelector("tbody"), count = root.querySelector("[data-count]"), more = root.querySelector("[data-more]");
  const form = root.querySelector("form"), search = form.elements.search, selects = [...form.querySelectorAll("select")];
  const width = root.querySelectorAll("thead th").length;
  view.hays = null;
  for (const select of selects) {
    const values = [...new Set(view.rows.map(view.facets[select.name]))].filter(Boolean);
    values.sort((a, b) => (select.name === "severity" ? RANK[a] - RANK[b] : a < b ? -1 : 1));
    for (const value of values) select.add(new Option(select.name === "severity" || select.name === "disposition" ? word(value) : value, value));
  }
  let hits = view.rows, shown = 0;
  const draw = (upto) => {
    const part = document.createDocumentFragment();
    for (const r of hits.slice(shown, upto)) {
      const row = document.createElement("tr");
      view.draw(row, r);
      // Narrow screens stack the cells, which would take a table's meaning away without these.
      row.setAttribute("role", "row");
      for (const each of row.cells) each.setAttribute("role", each.scope ? "rowheader" : "cell");
      part.append(row);
    }
    body.append(part);
    shown = Math.min(upto, hits.length);
    if (!hits.length) {
      const none = body.insertRow().insertCell();
      none.colSpan = width;
      none.textContent = view.rows.length ? words["Nothing matches."] : words.none;
    }
    const narrowed = hits.length < view.rows.length;
    count.textContent = fill(narrowed ? "{hits} of {all} match, {shown} shown" : "All {all}, {shown} shown", { hits: say(hits.length), all: say(view.rows.length), shown: say(shown) });
    more.hidden = shown >= hits.length;
  };
  const filter = () => {
    // A haystack per row is made at the first search: opening the page must not pay for it.
    const parts = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (parts.length && !view.hays) view.hays = new Map(view.rows.map((r) => [r, view.hay(r).join(" ").toLowerCase()]));
    const asked = selects.filter((s) => s.value);
    hits = parts.length || asked.length
      ? view.rows.filter((r) => asked.every((s) => view.facets[s.name](r) === s.value) && parts.every((p) => view.hays.get(r).includes(p)))
      : view.rows;
    body.replaceChildren();
    shown = 0;
    draw(PAGE);
  };
  let timer;
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 120); });
  selects.forEach((s) => s.addEventListener("change", filter));
  form.addEventListener("submit", (event) => { event.preventDefault(); filter(); });
  form.addEventListener("reset", () => setTimeout(filter));
  more.addEventListener("click", () => {
    const first = body.rows[shown - 1];
    draw(shown + PAGE);
    // The button may be gone: the reader goes on with the first new row.
    const next = first && first.nextElementSibling;
    if (next && more.hidden) { next.tabIndex = -1; next.focus(); }
  });
  window.addEventListener("beforeprint", () => draw(Math.max(shown, Math.min(hits.length, PRINTED))));
  filter();
}
const folded = [];
window.addEventListener("beforeprint", () => { for (const each of document.querySelectorAll("details:not([open])")) { each.open = true; folded.push(each); } });
window.addEventListener("afterprint", () => { for (const each of folded.splice(0)) each.open = false; });
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    document.querySelector("#resources input[type=search]").focus();
  }
});
