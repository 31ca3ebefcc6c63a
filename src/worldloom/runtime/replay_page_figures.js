// ---- figures and charts --------------------------------------------------------------------------------------------------------

function figure(value, unit, caption, title) {
  const box = document.createElement("p"), number = document.createElement("b"), small = document.createElement("small");
  const words = document.createElement("span");
  box.className = "figure";
  number.textContent = value;
  small.textContent = unit;
  words.textContent = caption;
  if (title) box.title = title;
  number.append(small);
  box.append(number, words);
  return box;
}

const live = {};
function makeFigures() {
  const wanted = led ? [["time", "s"], ["distance", "m"], ["speed", "m/s"], ["height", "m"]] : [["time", "s"]];
  for (const [name, unit] of wanted) {
    const box = figure("0", unit, name);
    live[name] = box.firstChild.firstChild;
    $("figures").append(box);
  }
  for (const [name, value, unit, doc] of scene.outcome) {
    if (name !== "status") $("outcome").append(figure(value, unit === "1" ? "" : unit, name, doc));
  }
}

const timeAt = (frame) => {
  const a = Math.floor(frame), b = Math.min(a + 1, last);
  return times.length ? times[a] + (frame - a) * (times[b] - times[a]) : 0;
};

function tellFigures(frame) {
  live.time.nodeValue = timeAt(frame).toFixed(2);
  if (!led) return;
  const now = centre(led, frame), start = path[0], a = Math.max(0, Math.floor(frame) - 3), b = Math.min(last, Math.floor(frame) + 3);
  const gone = now && start ? Math.hypot(now[0] - start[0], now[2] - start[2]) : NaN;
  const run = path[a] && path[b] ? Math.hypot(path[b][0] - path[a][0], path[b][2] - path[a][2]) : NaN;
  const shown = (v) => (Number.isFinite(v) ? v.toFixed(2) : "–");
  live.distance.nodeValue = shown(gone);
  live.speed.nodeValue = shown(run / Math.max(1e-9, times[b] - times[a]));
  live.height.nodeValue = shown(now ? now[1] : NaN);
}

const charts = [];
function makeCharts() {
  for (const series of scene.series) {
    const box = document.createElement("div"), title = document.createElement("h2"), small = document.createElement("small");
    const canvas = document.createElement("canvas");
    box.className = "chart";
    title.textContent = series.name.replaceAll("_", " ") + " ";
    small.textContent = `${series.unit} · ${series.doc}`;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${series.name} over time, ${series.unit}: ${series.doc}`);
    title.append(small);
    box.append(title, canvas);
    $("charts").lastElementChild.append(box);
    charts.push({ series, canvas, range: rangeOf(series.data) });
  }
}

function rangeOf(data) {
  let low = Infinity, high = -Infinity;
  for (const v of data) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
  if (low > high) return [0, 1];
  return low === high ? [low - 1, high + 1] : [low, high];
}

function drawCursors() {
  for (const { series, canvas, range: [low, high] } of charts) {
    const w = canvas.clientWidth, h = canvas.clientHeight, brush = canvas.getContext("2d");
    if (canvas.width !== Math.round(w * ratio)) { canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio); }
    brush.setTransform(ratio, 0, 0, ratio, 0, 0);
    brush.clearRect(0, 0, w, h);
    const x = (k) => 6 + (w - 12) * (last ? k / last : 0.5), y = (v) => h - 8 - (h - 16) * ((v - low) / (high - low));
    for (let c = 0; c < series.curves; c++) {
      brush.strokeStyle = ink[`series-${(c % 6) + 1}`];
      brush.lineWidth = 1.4;
      brush.beginPath();
      let down = false;
      for (let k = 0; k < scene.frames; k++) {
        const v = series.data[k * series.curves + c];
        if (!Number.isFinite(v)) { down = false; continue; }
        if (down) brush.lineTo(x(k), y(v)); else brush.moveTo(x(k), y(v));
        down = true;
      }
      brush.stroke();
    }
    brush.fillStyle = ink["ink-3"];
    brush.font = "11px ui-monospace, monospace";
    brush.fillText(Number(high.toPrecision(4)), 8, 14);
    brush.fillText(Number(low.toPrecision(4)), 8, h - 5);
    brush.fillStyle = ink.thread;
    brush.fillRect(x(replay.position) - 1, 0, 2, h);
  }
}

