"use strict";
// Switches, the slider, sortable tables, and the gallery with its viewer. All text goes in as text, never as HTML.
document.documentElement.classList.add("js");
const $ = (selector, among = document) => among.querySelector(selector);
const all = (selector, among = document) => [...among.querySelectorAll(selector)];
const parsed = (id) => { const found = document.getElementById(id); return found && JSON.parse(found.textContent); };
function make(tag, classes, ...children) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// The address: what differs from the beginning, so that a view can be sent.
const beginning = {}, state = {};
function define(name, value) { beginning[name] = state[name] = String(value); }
function remember(adding = false) {
  const said = Object.entries(state).filter(([name, value]) => value !== beginning[name]);
  const fragment = new URLSearchParams(said).toString();
  const place = location.pathname + location.search;
  const address = fragment || /=/.test(location.hash) ? `${place}#${fragment}` : place + location.hash;
  if (adding) history.pushState({ viewer: true }, "", address);
  else history.replaceState(history.state, "", address);
}
function recall() {
  const said = /=/.test(location.hash) ? new URLSearchParams(location.hash.slice(1)) : new URLSearchParams();
  for (const name of Object.keys(state)) state[name] = said.get(name) ?? beginning[name];
  return [...said.keys()].filter((name) => name in state);
}
function settle(name) {
  const choices = all(`input[type="radio"][name="${name}"]`).map((radio) => radio.value);
  if (!choices.includes(state[name])) state[name] = beginning[name];
}
function check(name) {
  for (const radio of all(`input[name="${name}"]`)) radio.checked = radio.value === state[name];
}

// Switches: of the things with data-<name>, those with the chosen value are seen.
const switches = all("[data-switch]").map((element) => element.dataset.switch);
for (const name of switches) {
  define(name, $(`[data-switch="${name}"] input:checked`).value);
  $(`[data-switch="${name}"]`).addEventListener("change", (event) => { state[name] = event.target.value; turn(name); remember(); });
}
function turn(name) {
  settle(name);
  check(name);
  for (const element of all(`[data-${name}]`)) element.hidden = element.getAttribute(`data-${name}`) !== state[name];
}

// The slider: the rates at each threshold, and the line in the charts.
const thresholds = parsed("thresholds-data"), slider = $("#threshold");
if (slider) {
  define("threshold", slider.value);
  slider.addEventListener("input", () => { state.threshold = slider.value; slide(); });
  slider.addEventListener("change", () => remember());
}
function slide() {
  if (!slider) return;
  if (!/^\d+$/.test(state.threshold) || !thresholds.values[state.threshold]) state.threshold = beginning.threshold;
  slider.value = state.threshold;
  const place = Number(slider.value), words = thresholds.values[place];
  slider.setAttribute("aria-valuetext", words);
  $("output", slider.parentElement).textContent = `MSE under ${words}`;
  for (const cell of all("[data-key]")) cell.textContent = thresholds.rates[cell.dataset.key][place];
  for (const line of all(".cursor")) for (const end of ["x1", "x2"]) line.setAttribute(end, thresholds.x[place]);
}

// Tables whose columns sort them.
for (const table of all("table.sortable")) {
  all("thead th", table).forEach((head, column) => {
    const button = make("button", "", head.textContent);
    button.type = "button";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const value = (row) => { const cell = row.cells[column]; return cell.dataset.sort ?? cell.textContent; };
      const rows = all("tbody tr", table), body = $("tbody", table);
      rows.sort((a, b) => compare(value(a), value(b)) * (falling ? -1 : 1));
      body.append(...rows);
    });
  });
}
function compare(a, b) {
  const [x, y] = [a, b].map((text) => parseFloat(text.replace("−", "-")));
  return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) || a.localeCompare(b, "en", { numeric: true }) : x - y;
}

// The gallery.
const data = parsed("gallery-data"), STEP = matchMedia("(max-width: 640px)").matches ? 12 : 48, SPLITS = { train: "training", control: "control" };
const OUTCOMES = { accurate: "✓ exact", approximate: "≈ near", failed: "✗ no" };
const CHIPS = ["model", "loss", "mask", "method", "split", "outcome", "order"];
let chosen = [], visible = STEP, opened = -1, opener = null, before = null, missing = "";
if (data) {
  data.cards = data.cards.map(([image, model, loss, mask, degraded, results]) => {
    const [set, split, id, label] = data.images[image];
    const found = results.map(([method, tile, maskTile, ...figures]) => ({
      method: data.methods[method][0], title: data.methods[method][1], tile, maskTile,
      ...Object.fromEntries(data.figures.map((name, place) => [name, figures[place]])),
    }));
    return { image, split, id, label, key: `${set}/${split}/${id}`, model: data.models[model], degraded, results: found,
      loss: data.losses[loss][0], lossWords: data.losses[loss][1], rank: loss, mask: data.masks[mask],
      within: `${split}/${id}\n${label ?? ""}`.toLowerCase(),
      heads: [set, data.masks[mask], SPLITS[split] ?? split, ...found.flatMap(({ method, title }) => [method, ...title.split(" ")])].map((word) => word.toLowerCase()) };
  });
  const first = data.cards.reduce((a, b) => (b.rank < a.rank ? b : a), data.cards[0]);
  const defaults = { model: first.model, loss: first.loss, mask: "", method: "", split: "train", outcome: "", order: "best" };
  for (const [name, value] of Object.entries(defaults)) define(name, value);
  if (!data.cards.some((card) => card.split === "train")) define("split", "");
  define("find", "");
  define("image", "");
  define("under", "");
  $("#filters").addEventListener("submit", (event) => event.preventDefault());
  $("#filters").addEventListener("input", (event) => { state[event.target.name] = event.target.value; visible = STEP; missing = ""; show(); remember(); });
  $("#more").addEventListener("click", () => {
    visible += STEP;
    show();
    all(".card", $("#grid"))[visible - STEP]?.focus();
  });
  $("#widen").addEventListener("click", () => {
    for (const name of ["mask", "method", "split", "outcome"]) state[name] = "";
    if (!data.cards.some(fits)) Object.assign(state, (({ model, loss }) => ({ model, loss }))(data.cards.find(named)));
    show();
    remember();
    $(".card", $("#grid"))?.focus();
  });
  $("#grid").addEventListener("keydown", walk);
  viewer();
}
function outcome(mse) { return mse === null ? "failed" : mse < data.accurate ? "accurate" : mse < data.approximate ? "approximate" : "failed"; }
function power(value) {
  if (value === null) return "not finite";
  if (value === 0) return "0";
  const [mantissa, exponent] = value.toExponential(0).split("e");
  const raised = [...String(Number(exponent))].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("");
  return `${mantissa === "1" ? "" : `${mantissa}·`}10${raised}`;
}
function asked(card) { return state.method ? card.results.filter((result) => result.method === state.method) : card.results; }
function best(card) { return Math.min(...asked(card).map((result) => result.mse ?? Infinity)); }
function fits(card) {
  const same = ["model", "mask", "split"].every((name) => !state[name] || card[name] === state[name]);
  const level = card.loss === state.loss || !data.cards.some((other) => other.model === card.model && other.loss === state.loss);
  if (!same || !level || !asked(card).length) return false;
  if (state.outcome && outcome(best(card)) !== state.outcome) return false;
  return named(card);
}
function named(card) {
  // a number is part of many ids, so other words are matched from their beginning
  return state.find.toLowerCase().split(/\s+/).every((word) => card.within.includes(word) || [card.key.toLowerCase(), ...card.heads].some((head) => head.startsWith(word)));
}
function tile(card, place, extra = "") { const made = make("i", `tile s${card.image} p${place}${extra}`); made.setAttribute("aria-hidden", "true"); return made; }
function thumb(card, place, words, classes = "") { return make("span", classes, tile(card, place), ...words.map((line) => make("small", "", line))); }
function about(card) { return [`${SPLITS[card.split] ?? card.split} image`, card.label, card.lossWords && `loss ${card.lossWords}`].filter(Boolean).join(", "); }
function drawn(card, number) {
  const strip = make("span", "strip", thumb(card, 0, ["original"]), thumb(card, card.degraded, [card.mask]));
  for (const result of asked(card)) {
    const how = outcome(result.mse);
    strip.append(thumb(card, result.tile, [result.title, `${OUTCOMES[how][0]} ${power(result.mse)}`], how));
  }
  const made = make("button", "card", strip, make("span", "name", `${card.id} `, make("small", "", about(card))));
  made.type = "button";
  made.addEventListener("click", () => enlarge(number));
  return made;
}
function show() {
  if (!data) return;
  CHIPS.forEach(check);
  $("#filters").elements.find.value = state.find;
  const sign = state.order === "worst" ? -1 : 1;
  chosen = data.cards.filter(fits).map((card) => [card, best(card)]).sort((a, b) => sign * (a[1] - b[1])).map(([card]) => card);
  const seen = chosen.slice(0, visible);
  $("#grid").replaceChildren(...seen.map(drawn));
  const elsewhere = !chosen.length && state.find.trim() && data.cards.some(named);
  $("#widen").hidden = !elsewhere;
  const none = elsewhere ? "None of that name fits the choices above; some fit others." : pictureless(state.find) || "None fits the choices above.";
  const shown = chosen.length ? `${seen.length} of ${chosen.length} shown, each an image under one degradation.` : none;
  $("#count").textContent = missing ? `${missing} ${shown}` : shown;
  $("#more").hidden = seen.length === chosen.length;
}
// Of images that came back and are not among the pictures, that they are in the run.
function pictureless(words) {
  const sought = words.trim().toLowerCase(), ids = new Set(all("#images tbody tr").map((row) => row.cells[0].textContent));
  const found = [...ids].filter((id) => sought && id.toLowerCase().includes(sought) && !data.cards.some((card) => card.id === id));
  const none = data.whole ? "no pictures of it were kept" : "no pictures of it are on this page";
  if (found.length > 1) return `${found.length} images of the run have such a name, but ${none.replace("it", "them")}.`;
  return found.length ? `${found[0]} is in the run, but ${none}.` : "";
}
function walk(event) {
  const cards = all(".card", $("#grid")), at = cards.indexOf(document.activeElement);
  if (at < 0) return;
  const across = cards.filter((card) => card.offsetTop === cards[0].offsetTop).length;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across };
  if (!(event.key in steps)) return;
  event.preventDefault();
  cards[at + steps[event.key]]?.focus();
}

// One image large.
function viewer() {
  const dialog = $("#viewer");
  for (const button of all("[data-step]", dialog)) button.addEventListener("click", () => step(Number(button.dataset.step)));
  $("[data-close]", dialog).addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by) { event.preventDefault(); step(by); }
  });
  dialog.addEventListener("close", () => {
    const leave = isOpen();
    Object.assign(state, before ?? {}, { image: "", under: "" });
    remember();
    while (!before && opened >= visible) visible += STEP;
    show();
    if (opener) opener.focus();
    else if (!before) all(".card", $("#grid"))[opened]?.focus();
    opener = before = null;
    if (leave && history.state?.viewer) history.back();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#image="]');
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) opener = link;
  });
}
function isOpen() { return /[#&]image=/.test(location.hash); }
function step(by) { if (chosen[opened + by]) enlarge(opened + by); }
function enlarge(number) {
  const card = chosen[number], dialog = $("#viewer");
  opened = number;
  [state.image, state.under] = [card.key, card.mask];
  remember(!isOpen());
  $("#viewer-title").textContent = `${card.id}: ${card.mask}`;
  $("#viewer-body").replaceChildren(...large(card));
  $('[data-step="-1"]').disabled = !chosen[number - 1];
  $('[data-step="1"]').disabled = !chosen[number + 1];
  if (!dialog.open) dialog.showModal();
}
function large(card) {
  const pair = make("div", "pair", thumb(card, 0, ["original"]), thumb(card, card.degraded, [`degraded: ${card.mask}`]));
  const rows = card.results.map((result) => {
    const how = outcome(result.mse), row = make("div", "found");
    row.append(make("h4", "", result.title, " ", make("span", `key ${how}`, OUTCOMES[how])));
    const pictures = make("div", "pair", thumb(card, result.tile, ["recovered"], how), make("span", "", tile(card, result.tile, " error"), make("small", "", "error, 8 times")));
    if (result.maskTile >= 0) pictures.append(thumb(card, result.maskTile, ["estimated mask"]));
    row.append(pictures, listed(result));
    return row;
  });
  return [make("p", "note", about(card), `, network ${card.model}`), pair, make("div", "founds", ...rows), ...course(card)];
}
function listed(result) {
  const lines = [["MSE", result.mse === null ? "not finite" : result.mse.toExponential(2)], ["PSNR", result.psnr === null ? "" : `${result.psnr.toFixed(1)} dB`],
    ["ended", result.status], ["iterations", result.outer_iterations], ["evaluations", result.evaluations],
    ["mask wrong", result.mask_error === null ? "" : `${(100 * result.mask_error).toFixed(2)} %`], ["claimed", result.claimed === null ? "" : result.claimed ? "yes" : "no"]];
  const list = make("dl", "figures");
  for (const [name, value] of lines) if (value !== "" && value !== null) list.append(make("div", "", make("dt", "", name), make("dd", "", String(value))));
  return list;
}
function course(card) {
  const same = data.cards.filter((other) => other.key === card.key && other.model === card.model && other.mask === card.mask);
  if (same.length < 2) return [];
  same.sort((a, b) => b.rank - a.rank);
  const head = make("tr", "", ...["training loss", ...card.results.map((result) => result.title)].map((words) => { const cell = make("th", "", words); cell.scope = "col"; return cell; }));
  const rows = same.map((other) => {
    const name = make("th", "", other.lossWords);
    name.scope = "row";
    return make("tr", other === card ? "here" : "", name, ...other.results.map((result) => make("td", outcome(result.mse), tile(other, result.tile), make("small", "", `${OUTCOMES[outcome(result.mse)]} ${power(result.mse)}`))));
  });
  const table = make("table", "course", make("caption", "", "The same image at other training losses"), make("thead", "", head), make("tbody", "", ...rows));
  const around = make("div", "scroll", table);
  around.tabIndex = 0;
  return [around];
}

// What the address says, now and when it changes. That of a section says nothing of the filters.
function follow(changed) {
  const earlier = { ...state }, seeing = Boolean(data) && $("#viewer").open;
  if (changed && !/=/.test(location.hash)) { if (seeing) $("#viewer").close(); return; }
  const said = recall();
  switches.forEach(turn);
  slide();
  if (data) CHIPS.forEach(settle);
  if (changed && Object.keys(state).every((name) => state[name] === earlier[name])) return;
  if (!data) { lead(said); return; }
  const { image, under } = state, pictured = data.cards.find((card) => card.key === image);
  missing = image && !pictured ? `There is no picture of ${image} on this page.` : "";
  if (pictured) admit(pictured); else state.image = state.under = "";
  visible = STEP;
  show();
  if (!pictured) { if (seeing) $("#viewer").close(); else lead(said); return; }
  if (changed && !seeing) before = earlier;
  if (changed) history.replaceState({ viewer: true }, "");
  const same = chosen.filter((card) => card.key === image);
  enlarge(chosen.indexOf(same.find((card) => card.mask === under) ?? same[0]));
}
// Filters that leave a card's image out are widened.
function admit(card) {
  const is = (other) => other.key === card.key && fits(other);
  if (data.cards.some(is)) return;
  Object.assign(state, { split: card.split, mask: "", method: "", outcome: "", find: "" });
  if (!data.cards.some(is)) Object.assign(state, { model: card.model, loss: card.loss });
}
// To the section that the last key of the address is of.
function lead(said) {
  const key = said.at(-1);
  if (!key) return;
  const place = $(`[data-switch="${key}"]`) ?? (key === "threshold" ? slider : $("#gallery"));
  place?.closest("section").scrollIntoView();
}
addEventListener("hashchange", follow);
follow();
