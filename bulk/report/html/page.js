// Draws the charts, fills the table of their figures, searches the rows. Text from the ledger is only ever set as text.
"use strict";
(() => {
  const root = document.documentElement;
  root.dataset.js = "";
  const PRINT_WIDTH = 640;
  const HEIGHT = 240;
  const byId = (id) => document.getElementById(id);

  // --- charts

  const data = byId("chart-data") && JSON.parse(byId("chart-data").textContent);
  const plots = [];

  const color = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const DAY = 86400;
  // Nothing is measured within a second: an axis in steps below one would show the same time again and again.
  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, ...[1, 2, 5, 10, 30, 90, 365].map((days) => days * DAY)];
  const LONG = [12, 4], DASHES = [7, 4], DOTS = [2, 3];
  const clock = (at, step) => new Date(at * 1000).toISOString().slice(...(step < 60 ? [11, 19] : step < DAY ? [11, 16] : [5, 10]));
  const figure = (value) => (value == null ? "" : value.toLocaleString("en", { maximumFractionDigits: 2 }));
  const line = (label, stroke, more) => ({ label, stroke, width: 1.5, value: (_, value) => figure(value), ...more });
  const points = (at, width) => ({ show: at.length < width / 20, size: at.length === 1 ? 9 : 4 });

  function axes() {
    const axis = { stroke: color("soft"), grid: { stroke: color("grid"), width: 1 }, ticks: { stroke: color("grid"), width: 1 } };
    const time = (_, splits, __, ___, step) => splits.map((at) => clock(at, step));
    return [{ ...axis, values: time, space: 70, incrs: STEPS }, { ...axis, size: 56, values: (_, splits) => splits.map((value) => value.toLocaleString("en")) }];
  }

  function options(width, series) {
    return {
      width,
      height: HEIGHT,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      cursor: { drag: { x: true, y: false } },
      scales: {
        // A run of one slot has no span, and uPlot would give it days: a few seconds at each side are enough.
        x: { range: (plot, from, to) => (plot.data[0].length === 1 ? [from - 5, from + 5] : [from, to]) },
        y: { range: (_, __, most) => [0, (most || 1) * 1.1] },
      },
      // Half of the last time on the axis reaches beyond it.
      padding: [null, 28, null, null],
      axes: axes(),
      legend: { markers: { width: 2, dash: (plot, at) => ({ [DASHES]: "dashed", [LONG]: "dashed", [DOTS]: "dotted" })[plot.series[at].dash] || "solid" } },
      series: [{ label: "Time (UTC)", value: (_, at) => (at == null ? "" : clock(at, 1)) }, ...series],
    };
  }

  function rateChart(run, width) {
    const small = points(run.at, width);
    const series = [
      line("creates/s", color("accent"), { width: 2, points: small }),
      line("listings/s", color("list"), { dash: DOTS, points: small }),
    ];
    const values = [run.at, run.per_s.create, run.per_s.list];
    if (run.asked_per_s !== null) {
      series.push(line("asked/s", color("good"), { dash: LONG, points: { show: run.at.length === 1 } }));
      values.push(run.at.map(() => run.asked_per_s));
    }
    if (run.throttled_in_all) {
      const mark = { show: true, size: 9, fill: color("bad"), stroke: color("bad") };
      series.push(line("throttled/s", color("bad"), { paths: () => null, points: mark }));
      values.push(run.throttled.map((requests) => requests && requests / run.slot_s));
    }
    return [series, values];
  }

  function latencyChart(run, width) {
    const small = points(run.at, width);
    const series = [
      line("p50", color("good"), { points: small }),
      line("p95", color("warning"), { dash: DASHES, points: small }),
      line("p99", color("bad"), { dash: DOTS, points: small }),
    ];
    return [series, [run.at, run.p50_ms, run.p95_ms, run.p99_ms]];
  }

  function place(id, run, chart, width) {
    const [series, values] = chart(run, width);
    plots.push(new uPlot(options(width, series), values, byId(id)));
  }

  function draw(width = byId("rate-chart").clientWidth) {
    const run = data[byId("run").value];
    plots.splice(0).forEach((plot) => plot.destroy());
    place("rate-chart", run, rateChart, width);
    place("latency-chart", run, latencyChart, width);
    byId("pace-words").textContent = run.words;
    if (byId("figures").open) fill(run);
  }

  function fill(run) {
    const cells = (slot) => [clock(run.at[slot], 1), ...[run.per_s.create, run.per_s.list, run.throttled, run.p50_ms, run.p95_ms, run.p99_ms].map((values) => figure(values[slot]))];
    byId("figure-rows").replaceChildren(
      ...run.at.map((_, slot) => {
        const row = document.createElement("tr");
        row.append(...cells(slot).map((text, column) => {
          const cell = document.createElement(column ? "td" : "th");
          if (column) cell.className = "number";
          else cell.scope = "row";
          cell.textContent = text;
          return cell;
        }));
        return row;
      }),
    );
  }

  if (data) {
    draw();
    byId("run").addEventListener("change", () => draw());
    byId("figures").addEventListener("toggle", () => draw());
    new ResizeObserver(() => {
      const width = byId("rate-chart").clientWidth;
      if (width && !("printing" in root.dataset)) plots.forEach((plot) => plot.setSize({ width, height: HEIGHT }));
    }).observe(byId("rate-chart").parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
    addEventListener("beforeprint", () => { root.dataset.printing = ""; draw(PRINT_WIDTH); });
    addEventListener("afterprint", () => { delete root.dataset.printing; draw(); });
  }

  // --- search

  const search = byId("search");
  if (search) {
    const rows = [...byId("row-table").tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
    const cutNote = document.querySelector(".note.print");
    const find = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      for (const [row, text] of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        found += !row.hidden;
      }
      const count = `${found.toLocaleString("en")} ${found === 1 ? "row" : "rows"}`;
      byId("found").value = words.length ? `${count} found` : count;
      cutNote.classList.toggle("cut", found > Number(cutNote.dataset.rows));
    };
    search.addEventListener("input", find);
    find();
  }
})();
