"use strict";
// Tables of the plan: filtered in memory, drawn a page at a time, so that 10,000 rows stay quick.
const data = JSON.parse(document.getElementById("data").textContent);
const words = JSON.parse(document.getElementById("words").textContent);
const text = (n) => data.texts[n];
const PAGE = 100;

function cell(row, content, cls) {
  const td = row.insertCell();
  if (cls) {
    const tag = document.createElement("span");
    tag.className = "tag " + cls;
    tag.textContent = content;
    td.append(tag);
  } else td.textContent = content;
  return td;
}

function subject(row, n) {
  const r = data.resources[n];
  const td = row.insertCell();
  td.append(text(r[0]));
  const small = document.createElement("div");
  small.className = "count";
  small.textContent = `${text(r[1])} · ${text(r[2])} · ${text(r[4])}`;
  td.append(small);
}

const views = {
  losses: {
    rows: data.losses,
    facets: { severity: (r) => text(r[1]), application: (r) => text(data.resources[r[0]][4]) },
    hay: (r) => [text(data.resources[r[0]][0]), text(data.resources[r[0]][1]), text(r[2]), text(r[3])].join(" "),
    draw(row, r) { cell(row, words[text(r[1])] || text(r[1]), text(r[1])); subject(row, r[0]); cell(row, text(r[2])); cell(row, text(r[3])); },
  },
  findings: {
    rows: data.findings,
    facets: { severity: (r) => text(r[1]), application: (r) => text(data.resources[r[0]][4]) },
    hay: (r) => [text(data.resources[r[0]][0]), text(r[2]), text(r[3])].join(" "),
    draw(row, r) { cell(row, words[text(r[1])] || text(r[1]), text(r[1])); subject(row, r[0]); cell(row, text(r[3])); },
  },
  resources: {
    rows: data.resources,
    facets: { disposition: (r) => text(r[6]), application: (r) => text(r[4]), type: (r) => text(r[1]) },
    hay: (r) => [text(r[0]), text(r[1]), text(r[2]), text(r[3]), text(r[4]), text(r[7]), ...r[8].map((b) => text(b[1]))].join(" "),
    draw(row, r) {
      const td = row.insertCell();
      td.append(text(r[0]));
      const small = document.createElement("div");
      small.className = "count";
      small.textContent = `${text(r[1])} · ${text(r[2])} · ${text(r[3])}`;
      td.append(small);
      cell(row, text(r[4])); cell(row, r[5] || ""); cell(row, text(r[6]));
      const last = cell(row, text(r[7]));
      if (r[8].length) {
        const list = document.createElement("div");
        list.className = "count";
        list.textContent = `${words.becomes}: ` + r[8].slice(0, 6).map((b) => `${text(b[0])} ${text(b[1])}`).join(", ") + (r[8].length > 6 ? ` +${r[8].length - 6}` : "");
        last.append(list);
      }
    },
  },
};

for (const [name, view] of Object.entries(views)) {
  const root = document.getElementById(name);
  if (!root) continue;
  const body = root.querySelector("tbody"), count = root.querySelector("[data-count]"), more = root.querySelector("[data-more]");
  const search = root.querySelector("input[type=search]"), selects = [...root.querySelectorAll("select")];
  view.text = view.rows.map((r) => view.hay(r).toLowerCase());
  for (const select of selects) {
    const values = [...new Set(view.rows.map(view.facets[select.name]))].filter(Boolean).sort();
    for (const value of values) select.add(new Option(words[value] || value, value));
  }
  let hits = [], shown = 0;
  const draw = () => {
    const part = document.createDocumentFragment();
    for (const n of hits.slice(shown, shown + PAGE)) {
      const row = document.createElement("tr");
      view.draw(row, view.rows[n]);
      part.append(row);
    }
    body.append(part);
    shown = Math.min(shown + PAGE, hits.length);
    count.textContent = `${shown} ${words.shown}, ${hits.length} ${words.of} ${view.rows.length}`;
    more.hidden = shown >= hits.length;
  };
  const filter = () => {
    const parts = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    hits = [];
    for (let n = 0; n < view.rows.length; n++) {
      if (parts.every((p) => view.text[n].includes(p)) && selects.every((s) => !s.value || view.facets[s.name](view.rows[n]) === s.value)) hits.push(n);
    }
    body.replaceChildren();
    shown = 0;
    draw();
  };
  let timer;
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 120); });
  selects.forEach((s) => s.addEventListener("change", filter));
  more.addEventListener("click", draw);
  window.addEventListener("beforeprint", () => { while (shown < Math.min(hits.length, 2000)) draw(); });
  filter();
}
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    document.querySelector("#resources input[type=search]").focus();
  }
});
