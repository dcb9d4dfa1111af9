"use strict";
(() => {
  const COLOURS = ["ink", "soft", "paper", "line", "blue", "orange", "green", "purple", "sky", "vermillion", "heat0", "heat2"];
  const WASH = {"@baseline": ["soft", 0.05], "@fault": ["purple", 0.13], "@recovery": ["green", 0.08]};
  const root = document.documentElement;
  const mix = (hex, alpha) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${r},${g},${b},${alpha})`;
  };
  const blend = (a, b) => "#" + [1, 3, 5].map((at) =>
    Math.round((parseInt(a.slice(at, at + 2), 16) + parseInt(b.slice(at, at + 2), 16)) / 2).toString(16).padStart(2, "0")).join("");

  // The colours of the theme, under the names that the figures use.
  const colours = (theme) => {
    const before = root.dataset.theme;
    root.dataset.theme = theme;
    const style = getComputedStyle(root), of = (name) => style.getPropertyValue("--" + name).trim();
    const found = Object.fromEntries(COLOURS.map((name) => ["@" + name, of(name)]));
    for (const name of ["blue", "orange", "green", "purple", "sky", "vermillion"]) found[`@${name}-wash`] = mix(of(name), 0.3);
    for (const [name, [base, alpha]] of Object.entries(WASH)) found[name] = mix(of(base), alpha);
    found["@heat1"] = blend(of("heat0"), of("heat2"));
    found["@clear"] = "rgba(0,0,0,0)";
    found["@veil"] = mix(of("paper"), 0.75);
    root.dataset.theme = before;
    return found;
  };
  const painted = (value, palette) =>
    typeof value === "string" ? palette[value] ?? value
      : Array.isArray(value) ? (typeof value[0] === "number" && typeof value[1] !== "string" ? value : value.map((v) => painted(v, palette)))
      : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, painted(v, palette)]))
      : value;

  const sections = [...document.querySelectorAll("section")].filter((s) => s.querySelector(".lanes"));
  const parts = (section) => ({plot: section.querySelector(".lanes"), cursor: section.querySelector(".cursor"), now: section.querySelector(".now")});
  const picture = (section) => section.picture ??= JSON.parse(section.querySelector(".data").textContent);

  const draw = (section, width) => {
    const {plot} = parts(section), {data, layout} = painted(picture(section), colours(root.dataset.theme));
    if (plot.layout) layout.xaxis.range = [...plot.layout.xaxis.range];
    if (width) layout.width = width;
    section.dataset.drawn = "yes";
    return Plotly.react(plot, data, layout, {responsive: true, displayModeBar: false});
  };

  // Reading: what each lane shows at one moment.
  const last = (xs, at) => { let i = -1; for (let lo = 0, hi = xs.length; lo < hi;) { const m = (lo + hi) >> 1; if (xs[m] <= at) { i = m; lo = m + 1; } else hi = m; } return i; };
  const number = (value) => value === 0 ? "0" : Math.abs(value) >= 100 ? value.toFixed(0) : String(+value.toPrecision(3));
  const percent = (share) => number(share * 100) + " %";
  const worded = (value, unit, n) => value == null ? "–"
    : (unit === "share" ? percent(value) : number(value) + (unit ? " " + unit : "")) + (n > 0 && unit !== "/s" ? ` n ${n}` : "");
  const inRow = (trace, at) => trace.customdata.find(([start, end]) => start <= at && at < end);
  const read = (traces, lane, reads, at, near) => {
    const own = traces.filter((t) => t.meta.lane === lane);
    if (reads === "cells") {
      const heat = own.find((t) => t.meta.kind === "heat"), i = last(heat.x, at);
      return "n " + heat.z.reduce((sum, row) => sum + (row[i] ?? 0), 0);
    }
    const steps = own.find((t) => t.meta.kind === "steps" && t.meta.series === reads);
    if (steps) { const i = last(steps.x, at); return worded(i < 0 ? null : steps.y[i], steps.meta.unit, steps.customdata[i]); }
    const row = own.filter((t) => String(t.meta.row) === reads && t.meta.kind !== "steps");
    const words = row.flatMap((t) => {
      if (t.meta.kind === "marks") {
        const close = t.customdata.filter(([start]) => Math.abs(start - at) <= near).at(-1);
        return close ? [close[4]] : [];
      }
      const found = inRow(t, at);
      return found ? [found[4]] : [];
    });
    // A fault's name stands beside its window: here it is what was measured in it that counts.
    if (lane === "faults" && words.length) return words.length > 1 ? words[0] : "no calls";
    return words.filter(Boolean).join(" ") || (lane === "events" || lane === "faults" ? "" : "–");
  };
  const point = (section, at) => {
    const {plot, cursor, now} = parts(section), {xaxis, _size: size} = plot._fullLayout, [from, to] = xaxis.range;
    at = Math.min(Math.max(at, from), to);
    section.at = at;
    Object.assign(cursor.style, {display: "block", left: `${size.l + xaxis.d2p(at)}px`, top: `${size.t}px`, height: `${size.h}px`});
    for (const output of section.querySelectorAll("output"))
      output.textContent = read(plot.data, output.dataset.lane, output.dataset.reads, at, (to - from) / 100);
    for (const output of section.querySelectorAll("output")) output.title = output.textContent;
    const started = /since (\d{4}-.*) UTC/.exec(xaxis.title.text);
    const utc = started ? new Date(Date.parse(started[1].replace(" ", "T") + "Z") + at * 1000).toISOString().slice(11, 21) + " UTC" : "";
    const happened = [...section.querySelectorAll('output[data-lane="events"]')].map((o) => o.textContent).filter(Boolean);
    now.textContent = [`at ${at.toFixed(2)} s`, utc, ...happened].filter(Boolean).join(" · ");
  };
  const zoom = (section, range) => Plotly.relayout(parts(section).plot, {"xaxis.range": range});
  const whole = (section) => { mark(section, null); return zoom(section, picture(section).layout.xaxis.range); };
  const mark = (section, card) => section.querySelectorAll(".card").forEach((c) => c.setAttribute("aria-pressed", String(c === card)));

  // A figure that explains itself without the page around it: whole, or one lane of it.
  const alone = (section, lane) => {
    const {data, layout} = painted(picture(section), colours("light"));
    Object.assign(layout, {showlegend: true, width: 1280, title: {text: section.querySelector("h2").textContent, x: 0.01, xanchor: "left", y: 1, yanchor: "top", pad: {t: 12}}});
    layout.margin = {...layout.margin, r: 230, t: layout.margin.t + 40};
    layout.height += 40;
    for (const [name, axis] of Object.entries(layout)) if (name.startsWith("yaxis") && axis.ticktext) axis.showticklabels = true;
    if (!lane) return {data, layout};
    const own = data.filter((t) => t.meta.lane === lane), id = own[0]?.yaxis ?? "y", suffix = id.slice(1), axis = layout["yaxis" + suffix];
    const height = (axis.domain[1] - axis.domain[0]) * (layout.height - layout.margin.t - layout.margin.b);
    layout.annotations = layout.annotations.filter((a) => a.yref === id || a.name === lane || (a.xref === "x" && a.yref === "paper")).map((a) => a.name === lane ? {...a, y: 1, yshift: 16} : a);
    layout.shapes = layout.shapes.filter((s) => s.yref === id || s.yref === "paper").map((s) => s.yref === id ? {...s, yref: "y"} : s);
    layout.annotations = layout.annotations.map((a) => a.yref === id ? {...a, yref: "y"} : a);
    const kept = Object.fromEntries(Object.entries(layout).filter(([name]) => !/^(yaxis|legend)\d*$/.test(name)));
    Object.assign(kept, {yaxis: {...axis, domain: [0, 1]}, legend: {...layout["legend" + suffix], y: 1}, xaxis: {...layout.xaxis, anchor: "y"}});
    Object.assign(kept, {margin: {...layout.margin, t: 84}, height: Math.max(120, height * 1.6) + 84 + layout.margin.b});
    return {data: own.map((t) => ({...t, yaxis: "y", legend: "legend"})), layout: kept};
  };
  const image = (section, lane, format) => {
    const figure = alone(section, lane);
    return Plotly.toImage(figure, {format, width: figure.layout.width, height: figure.layout.height, scale: format === "png" ? 2 : 1});
  };
  const save = async (section, lane, format) => {
    const link = document.createElement("a");
    link.href = await image(section, lane, format);
    link.download = `${section.id}${lane ? "-" + lane : ""}.${format}`;
    link.click();
  };

  for (const section of sections) {
    const {plot} = parts(section);
    plot.addEventListener("mousemove", (event) => {
      if (plot._fullLayout) point(section, plot._fullLayout.xaxis.p2d(event.clientX - plot.getBoundingClientRect().left - plot._fullLayout._size.l));
    });
    plot.addEventListener("keydown", (event) => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (!step || !plot._fullLayout) return;
      event.preventDefault();
      const [from, to] = plot._fullLayout.xaxis.range;
      point(section, (section.at ?? from) + step * (to - from) / 100);
    });
    section.addEventListener("click", async (event) => {
      const card = event.target.closest(".card"), tool = event.target.closest("[data-do]");
      if (card && !card.disabled) {
        if (!section.dataset.drawn) await draw(section);
        const range = [Number(card.dataset.start), Number(card.dataset.end)];
        mark(section, card);
        await zoom(section, range);
        point(section, (range[0] + range[1]) / 2);
        section.querySelector(".tools").scrollIntoView({block: "start"});
      } else if (tool) {
        if (tool.dataset.do === "whole") whole(section); else save(section, tool.dataset.lane, tool.dataset.do);
      }
    });
  }

  const paint = (theme) => {
    root.dataset.theme = theme;
    document.getElementById("theme").textContent = theme === "dark" ? "light" : "dark";
    document.getElementById("theme").setAttribute("aria-label", `switch to the ${theme === "dark" ? "light" : "dark"} theme`);
    return Promise.all(sections.filter((s) => s.dataset.drawn).map((s) => draw(s)));
  };
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem("chaos-lab-theme"); } catch { /* a browser may forbid it for files */ }
  const current = () => chosen ?? (preferred.matches ? "dark" : "light");
  paint(current());
  preferred.addEventListener("change", () => paint(current()));
  document.getElementById("theme").addEventListener("click", () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("chaos-lab-theme", chosen); } catch { /* then it lasts until the page closes */ }
    paint(chosen);
  });

  // Only what comes into view is drawn; printing draws everything, light and as wide as the paper.
  const seen = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((e) => {
    seen.unobserve(e.target);
    const section = e.target.closest("section");
    if (!section.dataset.drawn) draw(section);
  }), {rootMargin: "200px"});
  sections.forEach((section) => seen.observe(section.querySelector(".plot")));
  const PRINT_WIDTH = 725;
  addEventListener("beforeprint", () => { root.dataset.theme = "light"; sections.forEach((s) => draw(s, PRINT_WIDTH)); });
  addEventListener("afterprint", () => paint(current()));

  // `chaos-lab report --images` opens the page with #images=PG-01 and reads what stands here then.
  const wanted = /^#images=(.+)$/.exec(location.hash);
  if (wanted) (async () => {
    const section = document.getElementById(decodeURIComponent(wanted[1])), images = {};
    for (const lane of ["", ...new Set(picture(section).data.map((t) => t.meta.lane))])
      for (const format of ["svg", "png"]) images[`${lane || "all"}.${format}`] = await image(section, lane, format);
    const place = document.createElement("pre");
    place.id = "images";
    place.textContent = JSON.stringify(images);
    document.body.replaceChildren(place);
  })();
})();
