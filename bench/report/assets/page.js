// Draws the curves of a report with uPlot: medians as lines, least to greatest as a band, a line to stay below, and
// a cross where all rounds were marked. What it draws stands in #charts, colours and dashes in the style.
(() => {
  "use strict";

  const charts = JSON.parse(document.getElementById("charts").textContent);
  const places = [...document.querySelectorAll("[data-chart]")];
  const root = document.documentElement;
  const font = "12px " + getComputedStyle(root).fontFamily;
  const color = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // quantity writes v with the unit and prefix that suit it, as the tables do.
  function quantity(v, scales) {
    let scale = scales[0];
    for (const s of scales) if (Math.abs(v) >= s.factor * 0.9995) scale = s;
    if (v === 0) scale = scales.find((s) => s.factor === 1);
    const number = String(Number((v / scale.factor).toPrecision(3)));
    return number + (scale.unit === "" || scale.unit[0] === "/" ? "" : " ") + scale.unit;
  }

  // span is the range of an axis: all values that count, with some air.
  function span(values, log) {
    const least = Math.min(...values), most = Math.max(...values);
    if (values.length === 0) return log ? [1, 10] : [0, 1];
    if (log) return [least / 1.25, most * 1.25];
    return [Math.min(0, least), most > 0 ? most * 1.06 : 1];
  }

  const numbers = (lists) => lists.flat().filter((v) => v !== null);

  // steps is where round numbers are within a factor of base, and which of them are written if there is room.
  function steps(scales) {
    const bytes = scales.length > 1 && scales[1].factor === 1024;
    if (bytes) return { base: 1024, all: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512], written: [1, 4, 16, 64, 256] };
    return { base: 10, all: [1, 2, 3, 4, 5, 6, 7, 8, 9], written: [1, 2, 5] };
  }

  // increments keeps the marks of a linear axis at round numbers of the units that they are written in.
  function increments(scales) {
    const found = [];
    for (const s of scales) for (const n of [1, 2, 5, 10, 20, 50, 100, 200, 500]) found.push(n * s.factor);
    return found.sort((a, b) => a - b);
  }

  // powers has the marks of a logarithmic axis: its grid, and null for those that have no room for a number.
  function powers(scales, space) {
    const { base, all, written } = steps(scales);
    const first = (min) => Math.floor(Math.log(min) / Math.log(base) + 1e-9);
    return {
      splits(u, n, min, max) {
        const found = [];
        for (let p = first(min); base ** p <= max; p++) for (const m of all) found.push(m * base ** p);
        return found.filter((v) => v >= min && v <= max);
      },
      filter(u, marks, n) {
        const { min, max } = u.scales[n === 0 ? "x" : "y"];
        const length = (n === 0 ? u.bbox.width : u.bbox.height) / uPlot.pxRatio;
        const room = length * Math.log(base) / Math.log(max / min) / (written.length + 0.4);
        const shown = room >= space ? written : [1];
        return marks.map((v) => (shown.some((m) => Math.abs(v / base ** first(v) - m) < 1e-6 * m) ? v : null));
      },
    };
  }

  function axis(name, scales, log, vertical) {
    const space = vertical ? 30 : 64;
    const made = {
      label: name, labelFont: font, font, labelSize: 22, stroke: color("--soft"),
      grid: { stroke: color("--grid"), width: 1 }, ticks: { stroke: color("--rule"), width: 1, size: 5 },
      space,
      values: (u, marks) => marks.map((v) => (v === null ? "" : quantity(v, scales))),
    };
    if (log) Object.assign(made, powers(scales, space));
    else made.incrs = increments(scales);
    if (!vertical) made.size = 32;
    else {
      // As wide as the longest mark.
      made.size = (u, marks) => {
        if (!marks) return 40;
        u.ctx.font = u.axes[1].font[0];
        return Math.ceil(Math.max(0, ...marks.map((m) => u.ctx.measureText(m || "").width)) / uPlot.pxRatio) + 14;
      };
    }
    return made;
  }

  // looks reads how each line is drawn from the legend's swatches.
  function looks(place) {
    return [...place.closest("figure").querySelectorAll(".swatch[data-color] line")].map((line) => {
      const style = getComputedStyle(line);
      const dash = style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(/[ ,]+/).map(parseFloat);
      return { stroke: style.stroke, dash, width: parseFloat(style.strokeWidth) };
    });
  }

  // inPlot runs draw with everything outside the axes cut off.
  function inPlot(u, draw) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    draw(ctx, uPlot.pxRatio);
    ctx.restore();
  }

  // bands fills the range of each line, one piece for each run of neighbours that have one.
  function bands(u, chart, look) {
    inPlot(u, (ctx) => {
      ctx.globalAlpha = 0.14;
      chart.lines.forEach((line, n) => {
        ctx.fillStyle = look[n].stroke;
        let run = [];
        const fill = () => {
          if (run.length > 1) {
            ctx.beginPath();
            for (const i of run) ctx.lineTo(u.valToPos(chart.x[i], "x", true), u.valToPos(line.high[i], "y", true));
            for (const i of run.reverse()) ctx.lineTo(u.valToPos(chart.x[i], "x", true), u.valToPos(line.low[i], "y", true));
            ctx.fill();
          }
          run = [];
        };
        chart.x.forEach((x, i) => {
          if (line.low[i] !== null && line.high[i] !== null) run.push(i);
          else if (line.marks[i] !== "") fill(); // not measured there is no gap; marked is
        });
        fill();
      });
    });
  }

  function limit(u, chart) {
    if (!chart.limit) return;
    inPlot(u, (ctx, px) => {
      const y = u.valToPos(chart.limit, "y", true);
      ctx.strokeStyle = ctx.fillStyle = color("--bad");
      ctx.lineWidth = px;
      ctx.setLineDash([6 * px, 4 * px]);
      ctx.beginPath();
      ctx.moveTo(u.bbox.left, y);
      ctx.lineTo(u.bbox.left + u.bbox.width, y);
      ctx.stroke();
      ctx.font = u.axes[0].font[0];
      ctx.textBaseline = "bottom";
      ctx.textAlign = "left";
      ctx.fillText("limit " + quantity(chart.limit, chart.yScales), u.bbox.left + 6 * px, y - 3 * px);
    });
  }

  // crosses marks where nothing could be used, and leads there from the last place where something could. A value
  // above the axis is marked at its end.
  function crosses(u, chart, look) {
    const px = uPlot.pxRatio, ctx = u.ctx, top = u.bbox.top, bottom = top + u.bbox.height;
    ctx.save();
    chart.lines.forEach((line, n) => {
      ctx.strokeStyle = look[n].stroke;
      let last = null;
      chart.x.forEach((x, i) => {
        const at = u.valToPos(x, "x", true);
        if (line.y[i] !== null) last = [at, u.valToPos(line.y[i], "y", true)];
        if (line.y[i] !== null || line.marks[i] === "") return;
        const value = line.broke[i] === null ? top : u.valToPos(line.broke[i], "y", true);
        const y = Math.min(Math.max(value, top), bottom), arm = 5 * px;
        if (last) {
          ctx.lineWidth = px;
          ctx.setLineDash([2 * px, 3 * px]);
          ctx.beginPath();
          ctx.moveTo(...last);
          ctx.lineTo(at, y);
          ctx.stroke();
        }
        ctx.setLineDash([]);
        ctx.lineWidth = 2 * px;
        ctx.beginPath();
        ctx.moveTo(at - arm, y - arm);
        ctx.lineTo(at + arm, y + arm);
        ctx.moveTo(at - arm, y + arm);
        ctx.lineTo(at + arm, y - arm);
        ctx.stroke();
        last = null;
      });
    });
    ctx.restore();
  }

  // tip shows the numbers at the place under the pointer.
  function tip(u, chart, look) {
    const box = u.over.querySelector(".tip") || u.over.appendChild(document.createElement("div"));
    const { idx, left } = u.cursor;
    box.className = "tip";
    box.hidden = idx === null || idx === undefined || left < 0;
    if (box.hidden) return;
    const head = document.createElement("b");
    head.textContent = quantity(chart.x[idx], chart.xScales);
    const rows = chart.lines.map((line, n) => ({ line, n })).filter(({ line }) => line.y[idx] !== null || line.marks[idx] !== "");
    rows.sort((a, b) => (b.line.y[idx] ?? Infinity) - (a.line.y[idx] ?? Infinity));
    box.replaceChildren(head, ...rows.map(({ line, n }) => {
      const row = document.createElement("div"), dot = document.createElement("i");
      dot.style.background = look[n].stroke;
      row.append(dot, line.server + ": " + (line.y[idx] === null ? "✕ " + line.marks[idx] : quantity(line.y[idx], chart.yScales)));
      return row;
    }));
    const x = u.valToPos(chart.x[idx], "x"), width = u.over.clientWidth;
    box.style.left = Math.max(0, x + box.offsetWidth + 14 > width ? x - box.offsetWidth - 14 : x + 14) + "px";
    box.style.top = "8px";
  }

  function draw(place) {
    const wide = root.classList.contains("paper") ? 640 : place.clientWidth; // paper's width is not known before
    const chart = charts[place.dataset.chart];
    const look = looks(place);
    const lines = chart.lines;
    const ys = numbers(lines.flatMap((l) => [l.low, l.high]));
    // What broke may be seconds where the rest is milliseconds: it stretches the axis a little and not more.
    const broke = numbers(lines.map((l) => l.broke));
    const most = Math.max(...ys) * (chart.logY ? 10 : 1.5);
    ys.push(...(ys.length === 0 ? broke : broke.filter((v) => v <= most)));
    if (chart.limit > 0) ys.push(chart.limit);
    const yRange = span(ys, chart.logY);
    const first = chart.x[0], last = chart.x[chart.x.length - 1];
    const air = (last - first) * 0.03 || 1;
    const xRange = chart.logX ? span(chart.x, true) : [first - air, last + air];
    return new uPlot({
      width: wide, height: wide < 560 ? 300 : 380, padding: [14, 14, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false },
      scales: {
        x: { time: false, distr: chart.logX ? 3 : 1, range: () => xRange },
        y: { distr: chart.logY ? 3 : 1, range: () => yRange },
      },
      axes: [axis(chart.xName, chart.xScales, chart.logX, false), axis(chart.yName, chart.yScales, chart.logY, true)],
      series: [{}, ...lines.map((line, n) => ({
        label: line.server, ...look[n], spanGaps: false,
        points: { show: true, size: line.ours ? 8 : 6, fill: look[n].stroke, width: 0 },
        // A place that only other servers were measured at is no gap.
        gaps: (u, s, from, to, gaps) => gaps.filter(([a, b]) => chart.x.some((x, i) => {
          const at = u.valToPos(x, "x", true);
          return line.y[i] === null && line.marks[i] !== "" && at >= a - 1 && at <= b + 1;
        })),
      }))],
      hooks: {
        drawAxes: [(u) => { bands(u, chart, look); limit(u, chart); }],
        draw: [(u) => crosses(u, chart, look)],
        setCursor: [(u) => tip(u, chart, look)],
      },
    }, [chart.x, ...lines.map((l) => l.y)], place);
  }

  let drawn = [];
  function redraw() {
    for (const u of drawn) u.destroy();
    drawn = places.map(draw);
  }

  redraw();
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) redraw();
    width = innerWidth;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => { root.classList.add("paper"); redraw(); });
  addEventListener("afterprint", () => { root.classList.remove("paper"); redraw(); });
})();
