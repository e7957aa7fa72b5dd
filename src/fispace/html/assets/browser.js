"use strict";
// All text of the corpus is set by textContent alone, so none of it is ever taken for markup.
(() => {
  const PAGE = 100;  // rows of the list that are drawn at once
  const byId = (id) => document.getElementById(id);
  const detail = byId("detail");
  const waiting = new Map(), held = new Map();
  let index = null, tokens = null, chosen = [], drawn = 0, found = null;

  // files

  window.fispaceData = (name, value) => waiting.get(name)?.resolve(value);

  function load(name) {
    if (!held.has(name)) {
      held.set(name, new Promise((resolve, reject) => {
        waiting.set(name, { resolve });
        const script = document.createElement("script");
        script.src = `data/${name}.js`;
        script.onerror = () => {
          held.delete(name);
          reject(new Error(`The file data/${name}.js is missing. This page shows what is in the folder "data" ` +
            "beside it: copy the whole folder, or run `snakemake browser` again."));
        };
        document.head.append(script);
      }));
    }
    return held.get(name);
  }

  const latentRecord = async (number) => {
    const file = Math.floor(number / index.per_file.latents);
    return (await load(`latents-${file}`))[number - file * index.per_file.latents];
  };

  const windowText = async (number) => {
    const file = Math.floor(number / index.per_file.windows);
    return (await load(`text-${file}`))[number - file * index.per_file.windows];
  };

  // elements

  function make(tag, attributes = {}, ...children) {
    const isDrawing = ["svg", "rect", "line", "polyline", "text", "title"].includes(tag);
    const element = isDrawing
      ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const link = (text, href) => make("a", { href }, text);
  const shownNumber = (value) => value === null ? "–"
    : value.toLocaleString("en", { maximumSignificantDigits: 3 }).replace("-", "−");
  const visible = (text) => text.replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/\r/g, "␍");
  const token = (number) => make("span", { class: "token" }, visible(tokens[number]));
  const density = (number) => index.fired[number] / index.tokens;

  function numbers(pairs) {
    const list = make("dl", { class: "numbers" });
    for (const [name, value] of pairs) list.append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
    return list;
  }

  function table(headers, rows) {
    const head = make("tr", {}, ...headers.map((header, i) => make("th", { scope: "col", class: i ? "number" : "" }, header)));
    const body = rows.map((cells) => make("tr", {}, ...cells.map((cell, i) => make("td", { class: i ? "number" : "" }, cell))));
    return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
  }

  function bars(counts, largest) {
    const [width, height] = [420, 90], most = Math.max(...counts), each = width / counts.length;
    const plot = make("svg", { class: "plot", viewBox: `0 -14 ${width} ${height + 30}`, role: "img", "aria-label": "histogram of the non-zero activations" });
    counts.forEach((count, i) => {
      const high = most ? count / most * height : 0;
      plot.append(make("rect", { x: i * each, y: height - high, width: Math.max(each - 1, .5), height: high },
        make("title", {}, `${shownNumber(i / counts.length * largest)} to ${shownNumber((i + 1) / counts.length * largest)}: ${count} tokens`)));
    });
    plot.append(make("line", { x1: 0, x2: width, y1: height, y2: height }),
      make("text", { x: 0, y: height + 13 }, "0"),
      make("text", { x: width, y: height + 13, "text-anchor": "end" }, shownNumber(largest)),
      make("text", { x: width, y: -4, "text-anchor": "end" }, `at most ${most} tokens a bin`));
    return plot;
  }

  function curve(values, steps, label) {
    const [width, height] = [420, 70], most = Math.max(...values, 1e-12);
    const place = (value, i) => `${values.length > 1 ? i / (values.length - 1) * width : 0},${height - value / most * height}`;
    const plot = make("svg", { class: "plot", viewBox: `0 -14 ${width} ${height + 30}`, role: "img", "aria-label": label });
    plot.append(make("line", { x1: 0, x2: width, y1: height, y2: height }),
      make("polyline", { points: values.map(place).join(" ") }),
      make("text", { x: 0, y: height + 13 }, `${steps[0].toLocaleString("en")} training tokens`),
      make("text", { x: width, y: height + 13, "text-anchor": "end" }, steps[steps.length - 1].toLocaleString("en")),
      make("text", { x: width, y: -4, "text-anchor": "end" }, `largest ${shownNumber(Math.max(...values))}`));
    return plot;
  }

  async function context([window, begin, length, place, active, others = []], peak, otherPeak) {
    const [document_, names] = await windowText(window);
    const values = new Map(active), second = new Map(others);
    const text = make("div", { class: "text" });
    for (let i = 0; i < length; i += 1) {
      const value = values.get(i) ?? 0, other = second.get(i) ?? 0;
      const said = other ? `${shownNumber(value)}; second latent ${shownNumber(other)}` : shownNumber(value);
      const [, blank, word] = /^( *)([^]*)$/.exec(visible(tokens[names[begin + i]]));
      const span = make("span", { title: said }, word || blank);
      if (value > 0) span.style.backgroundColor = `rgba(var(--mark), ${(.12 + .6 * Math.min(1, value / peak)).toFixed(2)})`;
      if (other > 0) span.classList.add("other");
      if (i === place) span.classList.add("place");
      text.append(word ? blank : "", span);  // a shaded word can then begin a line
    }
    const where = `document ${document_}, window ${window}, position ${begin + place}: ${shownNumber(values.get(place) ?? 0)}` +
      (others.length ? ` and ${shownNumber(second.get(place) ?? 0)}` : "");
    return make("div", { class: "context" }, text, make("div", { class: "where" }, where));
  }

  // the list

  function order() {
    const by = byId("sort").value, up = byId("ascending").checked ? 1 : -1;
    const least = parseFloat(byId("least").value), most = parseFloat(byId("most").value);
    const own = { density: index.fired, mean: index.mean, peak: index.peak }[by];
    chosen = found ? [...found] : index.fired.map((_, number) => number);
    chosen = chosen.filter((number) => (byId("silent").checked || index.fired[number] > 0)
      && !(density(number) < least) && !(density(number) > most)
      && (!byId("paired").checked || index.in_pair.has(number)));
    const key = own ? (number) => own[number] : (number) => -number;
    chosen.sort((a, b) => up * (key(a) - key(b)) || a - b);
    drawn = 0;
    byId("rows").replaceChildren();
    draw();
  }

  function draw() {
    const body = byId("rows"), current = currentLatent();
    for (const number of chosen.slice(drawn, drawn + PAGE)) {
      const row = make("tr", { "data-latent": number, "aria-current": number === current },
        make("td", {}, link(String(number), `#latent=${number}`)),
        make("td", { class: "number" }, shownNumber(density(number))),
        make("td", { class: "number" }, shownNumber(index.peak[number])),
        make("td", {}, index.token[number] < 0 ? "" : token(index.token[number])));
      body.append(row);
    }
    drawn = Math.min(chosen.length, drawn + PAGE);
    byId("more").hidden = drawn === chosen.length;
    const all = index.fired.length.toLocaleString("en");
    byId("count").textContent = `${chosen.length.toLocaleString("en")} of ${all} latents` + (found ? " found" : "");
  }

  // pages

  function currentLatent() {
    const match = /^#latent=(\d+)$/.exec(location.hash);
    return match ? Number(match[1]) : -1;
  }

  async function showLatent(number) {
    if (!(number < index.fired.length)) return say(`There is no latent ${number}; the numbers are 0 to ${index.fired.length - 1}.`);
    const record = await latentRecord(number), peak = index.peak[number];
    const parts = [make("h2", {}, `Latent ${number}`), numbers([
      ["density", `${shownNumber(density(number))} (${index.fired[number].toLocaleString("en")} of ${index.tokens.toLocaleString("en")} tokens)`],
      ["mean where active", shownNumber(index.mean[number])], ["largest activation", shownNumber(peak)],
      ...index.shares.map((part, i) => [`FVU grows without it: ${part}`, shownNumber(record.shares[i])]),
    ])];
    if (!record.top.length) parts.push(make("p", {}, "It is active on no token of the test split."));
    if (record.bins) parts.push(make("h3", {}, "Activations where it is active"), bars(record.bins, peak));
    if (record.top.length) {
      parts.push(make("h3", {}, "Windows in which it is most active"));
      for (const one of record.top) parts.push(await context(one, peak));
      parts.push(make("h3", {}, "At quantiles of its activations"));
      for (const [share, ...one] of record.at) parts.push(make("div", { class: "small soft" }, `quantile ${share}`), await context(one, peak));
    }
    if (record.up) {
      const rows = (list) => list.map(([name, value]) => [token(name), shownNumber(value)]);
      parts.push(make("h3", {}, "Tokens moved through the language model's head"),
        make("p", { class: "small soft" }, "Change of the logit when the final norm and head read the mean activation plus the latent at its mean activation."),
        make("div", { class: "two" }, table(["promoted", "logit"], rows(record.up)), table(["suppressed", "logit"], rows(record.down))));
    }
    if (record.cells) {
      parts.push(make("h3", {}, "Response to the factors"),
        make("p", { class: "small soft" }, `Mean activation over all tokens of a text, in the four cells of ${index.items} items.`),
        table(["cell", "mean activation"], index.cells.map((name, i) => [name, shownNumber(record.cells[i])])));
    }
    if (record.near) {
      parts.push(make("h3", {}, "Nearest latents"),
        table(["latent", "cosine of decoder rows"], record.near.map(([other, cosine]) => [link(String(other), `#latent=${other}`), shownNumber(cosine)])));
    }
    if (record.pairs) {
      const pairs = await load("pairs");
      parts.push(make("h3", {}, "Pairs of the interaction part"), pairTable(record.pairs.map((place) => pairs[place])));
    }
    if (record.norm) {
      parts.push(make("h3", {}, "During training: norm of the decoder row"), curve(record.norm, index.history, "norm during training"),
        make("h3", {}, "During training: density"), curve(record.fired, index.history, "density during training"));
    }
    return parts;
  }

  const pairTable = (pairs) => table(["pair", "weight", "active together", "first alone", "second alone"],
    pairs.map((pair) => [link(pair.latents.join(" × "), `#pair=${pair.latents.join(",")}`),
      shownNumber(pair.weight), shownNumber(pair.together), ...pair.alone.map(shownNumber)]));

  async function showPairs() {
    return [make("h2", {}, "Pairs of the interaction part"),
      make("p", {}, "Weight: norm of the pair's product of factors through the interaction part, at the mean activations of both. It says what the part could do with the pair, not that it has an effect."),
      pairTable(await load("pairs"))];
  }

  async function showPair(first, second) {
    const pair = (await load("pairs")).find(({ latents: [a, b] }) => (a === first && b === second) || (a === second && b === first));
    if (!pair) return say(`The pair ${first} × ${second} is not among those that are shown.`);
    const [a, b] = pair.latents;
    const expected = index.fired[a] * index.fired[b] / index.tokens;
    const parts = [make("h2", {}, "Pair ", link(String(a), `#latent=${a}`), " × ", link(String(b), `#latent=${b}`)), numbers([
      ["weight", shownNumber(pair.weight)], ["tokens with both", shownNumber(pair.together)],
      ["expected if independent", shownNumber(expected)],
      [`${a} without ${b}`, shownNumber(pair.alone[0])], [`${b} without ${a}`, shownNumber(pair.alone[1])],
    ]), make("h3", {}, "Windows in which both are most active"),
    make("p", { class: "small soft" }, `Shaded: ${a}. Underlined: ${b}. Framed: the token with the largest product.`)];
    if (!pair.contexts.length) parts.push(make("p", {}, "They are active together on no token of the test split."));
    for (const one of pair.contexts) parts.push(await context(one, index.peak[a]));
    return parts;
  }

  function say(text) {
    return [make("p", { class: "bad" }, text)];
  }

  // search

  async function searched(mode, query) {
    const files = Array.from({ length: index.files.text }, (_, i) => load(`text-${i}`));
    const [{ shown, up }, ...texts] = await Promise.all([load("search"), ...files]);
    const result = new Set(), windows = texts.flat(), wanted = query.toLowerCase();
    const isWanted = tokens.map((text) => text.trim().toLowerCase() === wanted.trim());
    windows.forEach(([, names], number) => {
      const own = shown[number];
      if (mode === "token") {
        for (let i = 0; i < own.length; i += 4) if (isWanted[names[own[i + 1] + own[i + 3]]]) result.add(own[i]);
        return;
      }
      const ends = [];
      let text = "";
      for (const name of names) { text += tokens[name]; ends.push(text.length); }
      const lower = text.toLowerCase();
      if (lower.length !== text.length && !lower.includes(wanted)) return;
      for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + 1)) {
        const first = ends.findIndex((end) => end > at), last = ends.findIndex((end) => end >= at + wanted.length);
        for (let i = 0; i < own.length; i += 4) if (own[i + 1] <= last && own[i + 1] + own[i + 2] > first) result.add(own[i]);
      }
    });
    if (mode === "token") up.forEach((names, number) => { if (names.some((name) => isWanted[name])) result.add(number); });
    return result;
  }

  async function search(mode, query) {
    byId("query").value = query;
    byId("mode").value = mode;
    byId("count").textContent = "Searching.";
    found = await searched(mode, query);
    order();
    return [make("h2", {}, `${found.size.toLocaleString("en")} latents for the ${mode} “${query}”`),
      make("p", { class: "soft" }, found.size ? "They are in the list." : "Only texts and tokens that are shown for a latent are searched.")];
  }

  function submit(event) {
    event.preventDefault();
    const query = byId("query").value, mode = byId("mode").value;
    if (/^\s*\d+\s*$/.test(query) && mode === "token") location.hash = `#latent=${Number(query)}`;
    else if (query.trim()) location.hash = `#search=${mode}:${encodeURIComponent(query)}`;
    else { found = null; order(); location.hash = "#"; }
  }

  // routes

  let turn = 0;
  async function route() {
    const mine = ++turn, hash = location.hash;
    const latent = /^#latent=(\d+)$/.exec(hash), pair = /^#pair=(\d+),(\d+)$/.exec(hash);
    const query = /^#search=(token|text):(.+)$/.exec(hash);
    let parts;
    try {
      if (latent) parts = await showLatent(Number(latent[1]));
      else if (pair) parts = await showPair(Number(pair[1]), Number(pair[2]));
      else if (hash === "#pairs") parts = await showPairs();
      else if (query) parts = await search(query[1], decodeURIComponent(query[2]));
      else if (chosen.length) parts = await showLatent(chosen[0]);
      else parts = say("No latent is active on the test split.");
    } catch (error) {
      parts = say(error instanceof URIError ? "This address is damaged." : error.message);
    }
    if (mine !== turn) return;
    detail.replaceChildren(...parts);
    for (const row of byId("rows").rows) row.setAttribute("aria-current", row.dataset.latent === latent?.[1]);
    document.documentElement.dataset.shown = hash || "#";
    if (latent || pair) { scrollTo(0, innerWidth < 768 ? detail.offsetTop : 0); }
  }

  async function start() {
    try {
      [index, tokens] = await Promise.all([load("index"), load("tokens")]);
      index.in_pair = new Set(index.pairs ? (await load("pairs")).flatMap((pair) => pair.latents) : []);
    } catch (error) {
      detail.replaceChildren(...say(error.message));
      return;
    }
    byId("about").textContent = `Run ${index.run}, arm ${index.arm} (${index.parts.join(", ")}), seed ${index.seed}, at ${index.hook}; ` +
      `${index.tokens.toLocaleString("en")} tokens of the ${index.split} split, at most ${index.k} latents active on each.`;
    byId("pairs-link").hidden = !index.pairs;
    byId("paired").disabled = !index.pairs;
    for (const id of ["sort", "ascending", "silent", "paired"]) byId(id).addEventListener("change", order);
    for (const id of ["least", "most"]) byId(id).addEventListener("input", order);
    byId("more").addEventListener("click", draw);
    byId("search").addEventListener("submit", submit);
    addEventListener("hashchange", route);
    order();
    await route();
  }
  start();
})();
