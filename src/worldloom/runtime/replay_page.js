"use strict";
// A replay: decode the scene, draw it in perspective on a canvas, and play it. No library, no network.

const scene = JSON.parse(document.getElementById("scene").textContent);
const $ = (id) => document.getElementById(id);
const GAP = -32768;

// ---- data --------------------------------------------------------------------------------------------------------------------

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
}
const floats = (text) => new Float32Array(bytes(text));
const shorts = (text) => new Int16Array(bytes(text));

const times = floats(scene.t);
const last = Math.max(0, scene.frames - 1);
for (const p of scene.points) p.data = shorts(p.xyz);
for (const l of scene.lines) {
  l.data = l.value ? shorts(l.value) : null;
  l.of = scene.points.find((p) => p.name === l.points);
}
for (const s of scene.series) s.data = floats(s.values);

// Point k of a shape at a time between frames; null where it is absent.
function place(shape, frame, k) {
  const a = Math.floor(frame), b = Math.min(a + 1, last), share = frame - a, found = [0, 0, 0];
  for (let axis = 0; axis < 3; axis++) {
    const x = shape.data[(a * shape.count + k) * 3 + axis], y = shape.data[(b * shape.count + k) * 3 + axis];
    if (x === GAP) return null;
    found[axis] = shape.middle + shape.step * (y === GAP ? x : x + share * (y - x));
  }
  return found;
}

function centre(shape, frame) {
  const sum = [0, 0, 0];
  let count = 0;
  for (let k = 0; k < shape.count; k++) {
    const at = place(shape, frame, k);
    if (at) { at.forEach((v, axis) => { sum[axis] += v; }); count++; }
  }
  return count ? sum.map((v) => v / count) : null;
}

const led = scene.points.find((p) => p.thread) || scene.points[0];
const path = led ? Array.from({ length: scene.frames }, (_, k) => centre(led, k)) : [];

// ---- camera ------------------------------------------------------------------------------------------------------------------

const camera = { yaw: 0.55, pitch: 0.3, distance: 6, x: 0, y: 0.5, z: 0, set: false };
const reach = led ? extent() : 1;
camera.distance = Math.max(1.5, 3.4 * reach);
const home = { ...camera };

// Half the size of the body at its first moment.
function extent() {
  const at = path.find((p) => p);
  if (!at) return 1;
  const k = path.indexOf(at);
  let far = 0.2;
  for (let n = 0; n < led.count; n++) {
    const p = place(led, k, n);
    if (p) far = Math.max(far, Math.hypot(p[0] - at[0], p[1] - at[1], p[2] - at[2]) + led.radius[n]);
  }
  return far;
}

let width = 0, height = 0, ratio = 1;
const stage = $("stage"), pen = stage.getContext("2d");

// [x, y, pixels per unit, depth] on the stage; null behind the camera.
function project(p) {
  const dx = p[0] - camera.x, dy = p[1] - camera.y, dz = p[2] - camera.z;
  const cy = Math.cos(camera.yaw), sy = Math.sin(camera.yaw), cp = Math.cos(camera.pitch), sp = Math.sin(camera.pitch);
  const right = dx * cy - dz * sy, ahead = -dx * sy - dz * cy;
  const depth = camera.distance + ahead * cp - dy * sp, up = dy * cp + ahead * sp;
  if (depth < 0.05) return null;
  const scale = (1.25 * Math.min(height, width)) / depth;
  return [width / 2 + right * scale, height * 0.56 - up * scale, scale, depth];
}

// ---- drawing -----------------------------------------------------------------------------------------------------------------

let ink = {};
function readColours() {
  const probe = document.createElement("i");
  document.body.append(probe);
  const names = ["stage", "stage-far", "ink", "ink-2", "ink-3", "line", "sheet", "thread", "short", "long", "rest", "accent",
    "series-1", "series-2", "series-3", "series-4", "series-5", "series-6"];
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    ink[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}
const channels = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
function mix(a, b, share) {
  const x = channels(a), y = channels(b);
  return `rgb(${x.map((v, k) => Math.round(v + (y[k] - v) * share)).join(",")})`;
}
function faded(colour, alpha) {
  return `rgba(${channels(colour).join(",")},${alpha})`;
}

function segment(a, b) {
  const from = project(a), to = project(b);
  if (!from || !to) return false;
  pen.moveTo(from[0], from[1]);
  pen.lineTo(to[0], to[1]);
  return true;
}

// A floor of metres that stays while the camera follows: it fades with distance, and every fifth line is stronger.
function drawGround() {
  const step = camera.distance > 40 ? 10 : camera.distance > 14 ? 5 : 1, far = Math.min(14, Math.ceil(3 + camera.distance)) * step;
  const x0 = Math.round(camera.x / step) * step, z0 = Math.round(camera.z / step) * step;
  for (let n = -far; n <= far; n += step) {
    for (const along of [0, 1]) {
      const c = (along ? z0 : x0) + n, strong = Math.round(c / step) % 5 === 0;
      for (let m = -far; m < far; m += step) {
        const fade = 1 - Math.hypot(n, m + step / 2) / far;
        if (fade <= 0) continue;
        pen.beginPath();
        pen.strokeStyle = faded(ink["ink-3"], fade * (strong ? 0.45 : 0.2));
        pen.lineWidth = strong ? 1.2 : 0.8;
        const a = along ? [x0 + m, 0, c] : [c, 0, z0 + m], b = along ? [x0 + m + step, 0, c] : [c, 0, z0 + m + step];
        if (segment(a, b)) pen.stroke();
      }
    }
  }
  pen.font = "12px ui-monospace, 'DejaVu Sans Mono', monospace";
  pen.textAlign = "center";
  for (let x = x0 - far; x <= x0 + far; x += step) {
    const at = project([x, 0, 0]), fade = 1 - Math.abs(x - camera.x) / far;
    if (!at || fade <= 0.1) continue;
    pen.fillStyle = faded(ink["ink-2"], Math.min(1, fade * 1.4));
    pen.fillText(`${Math.round(x)} m`, at[0], at[1] + 16);
    pen.fillRect(at[0] - 1, at[1] - 3, 2, 6);
  }
  const a = project([0, 0, -1.2 * reach]), b = project([0, 0, 1.2 * reach]);
  if (a && b) {
    pen.strokeStyle = faded(ink["ink-2"], 0.8);
    pen.lineWidth = 2;
    pen.beginPath(); pen.moveTo(a[0], a[1]); pen.lineTo(b[0], b[1]); pen.stroke();
  }
}

function drawShadows(frame) {
  for (const shape of scene.points) {
    for (let k = 0; k < shape.count; k++) {
      const p = place(shape, frame, k), at = p && project([p[0], 0, p[2]]);
      if (!at) continue;
      const r = shape.radius[k] * at[2] * (1 + 0.4 * Math.max(0, p[1]));
      pen.fillStyle = `rgba(8,16,16,${0.28 / (1 + 1.5 * Math.max(0, p[1]))})`;
      pen.beginPath();
      pen.ellipse(at[0], at[1], r, r * Math.max(0.12, Math.sin(camera.pitch)), 0, 0, 7);
      pen.fill();
    }
  }
}

function drawThread(frame) {
  const points = path.slice(0, Math.floor(frame) + 1).concat(led ? [centre(led, frame)] : []);
  for (const [colour, size] of [[ink.ink, 4.5], [ink.thread, 2.5]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = size;
    pen.lineJoin = "round";
    pen.beginPath();
    let down = false;
    for (const p of points) {
      const at = p && project(p);
      if (!at) { down = false; continue; }
      if (down) pen.lineTo(at[0], at[1]); else pen.moveTo(at[0], at[1]);
      down = true;
    }
    pen.stroke();
  }
}

// A muscle as a band that narrows with distance: indigo where it shortens, madder where it lengthens.
function drawLine(line, frame, k, a, b) {
  let colour = ink.rest;
  if (line.data) {
    const n = Math.floor(frame) * line.pairs.length + k, value = line.data[n] === GAP ? 0 : line.data[n] / 100;
    colour = mix(ink.rest, value < 0 ? ink.short : ink.long, Math.min(1, Math.abs(value) * 1.3));
  }
  const dx = b[0] - a[0], dy = b[1] - a[1], size = Math.hypot(dx, dy) || 1, nx = -dy / size, ny = dx / size;
  const wa = Math.max(1.2, line.width * a[2]) / 2, wb = Math.max(1.2, line.width * b[2]) / 2;
  pen.fillStyle = colour;
  pen.strokeStyle = faded(ink.ink, 0.55);
  pen.lineWidth = 0.8;
  pen.beginPath();
  pen.moveTo(a[0] + nx * wa, a[1] + ny * wa);
  pen.lineTo(b[0] + nx * wb, b[1] + ny * wb);
  pen.lineTo(b[0] - nx * wb, b[1] - ny * wb);
  pen.lineTo(a[0] - nx * wa, a[1] - ny * wa);
  pen.closePath();
  pen.fill();
  pen.stroke();
}

function drawPoint(shape, k, at) {
  const r = Math.max(1.5, shape.radius[k] * at[2]);
  const own = shape.colour ? `rgb(${shape.colour[k].map((v) => Math.round(255 * v)).join(",")})` : ink.accent;
  const shade = pen.createRadialGradient(at[0] - r * 0.35, at[1] - r * 0.4, r * 0.1, at[0], at[1], r);
  shade.addColorStop(0, mix(own, "rgb(255,255,255)", 0.55));
  shade.addColorStop(0.6, own);
  shade.addColorStop(1, mix(own, "rgb(8,16,16)", 0.4));
  pen.fillStyle = shade;
  pen.beginPath(); pen.arc(at[0], at[1], r, 0, 7); pen.fill();
  pen.strokeStyle = faded(ink.ink, 0.8);
  pen.lineWidth = 1;
  pen.stroke();
}

// Everything that has a depth, far things first.
function drawBodies(frame) {
  const things = [], seen = new Map();
  for (const shape of scene.points) {
    const places = Array.from({ length: shape.count }, (_, k) => { const p = place(shape, frame, k); return p && project(p); });
    seen.set(shape, places);
    places.forEach((at, k) => { if (at) things.push([at[3], () => drawPoint(shape, k, at)]); });
  }
  for (const line of scene.lines) {
    const places = seen.get(line.of) || [];
    line.pairs.forEach(([p, q], k) => {
      const a = places[p], b = places[q];
      if (a && b) things.push([(a[3] + b[3]) / 2, () => drawLine(line, frame, k, a, b)]);
    });
  }
  things.sort((a, b) => b[0] - a[0]).forEach(([, draw]) => draw());
}

function draw() {
  const frame = replay.position;
  if (led) {
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const sky = pen.createLinearGradient(0, 0, 0, height);
    sky.addColorStop(0, ink["stage-far"]); sky.addColorStop(0.55, ink.stage);
    pen.fillStyle = sky;
    pen.fillRect(0, 0, width, height);
    drawGround(); drawShadows(frame); drawThread(frame); drawBodies(frame);
    $("words").textContent = scene.texts.map((text) => text[Math.floor(frame)]).join("\n");
  }
  if ($("charts").open) drawCursors();
  tellFigures(frame);
}

// ---- player --------------------------------------------------------------------------------------------------------------------

const replay = {
  position: 0, playing: false, speed: 1, ready: false,
  get frame() { return Math.floor(this.position); },
  get time() { return timeAt(this.position); },
  play() {
    if (this.position >= last) this.position = 0;
    this.playing = last > 0;
    toldPlaying();
  },
  pause() { this.playing = false; toldPlaying(); },
  seek(frame) {
    this.position = Math.min(last, Math.max(0, Number(frame) || 0));
    follow(1);
    show();
  },
};
window.replay = replay;

function toldPlaying() {
  $("play").textContent = replay.playing ? "❚❚" : "▶";
  $("play").setAttribute("aria-label", replay.playing ? "Pause" : "Play");
}

function follow(share) {
  const at = led && centre(led, replay.position);
  if (!at) return;
  const rate = camera.set ? share : 1;
  camera.set = true;
  camera.x += (at[0] - camera.x) * rate;
  camera.y += (Math.max(0.25 * reach, at[1] * 0.8) - camera.y) * rate;
  camera.z += (at[2] - camera.z) * rate;
}

function show() {
  $("scrub").value = Math.round(replay.position);
  $("scrub").setAttribute("aria-valuetext", `${replay.time.toFixed(2)} seconds`);
  draw();
}

let before = 0;
function tick(now) {
  const passed = Math.min(0.1, (now - before) / 1000);
  before = now;
  if (replay.playing) {
    const length = times[last] - times[0] || 1;
    replay.position += (passed * replay.speed * last) / length;
    if (replay.position >= last) {
      if ($("loop").checked) replay.position = 0; else { replay.position = last; replay.pause(); }
    }
    follow(1 - Math.exp(-passed * 5));
    show();
  }
  requestAnimationFrame(tick);
}

function resize() {
  ratio = Math.min(2, window.devicePixelRatio || 1);
  width = stage.clientWidth; height = stage.clientHeight;
  stage.width = Math.round(width * ratio); stage.height = Math.round(height * ratio);
  show();
}
