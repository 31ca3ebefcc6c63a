// ---- hands: buttons, keys, pointer ------------------------------------------------------------------------------------------------

function listenToButtons() {
  $("play").onclick = () => (replay.playing ? replay.pause() : replay.play());
  $("back").onclick = () => { replay.pause(); replay.seek(replay.frame - 1); };
  $("next").onclick = () => { replay.pause(); replay.seek(replay.frame + 1); };
  $("scrub").oninput = () => { replay.pause(); replay.seek(Number($("scrub").value)); };
  $("speed").onchange = () => { replay.speed = Number($("speed").value); };
  $("help").onclick = toggleKeys;
  $("charts").ontoggle = () => draw();
  $("theme").onclick = () => {
    const dark = getComputedStyle(document.documentElement).getPropertyValue("color-scheme").trim();
    const now = dark === "dark" || (dark !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = now ? "light" : "dark";
    readColours();
    draw();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
}

function toggleKeys() {
  $("keys").hidden = !$("keys").hidden;
  $("help").setAttribute("aria-expanded", String(!$("keys").hidden));
}

function faster(by) {
  const speeds = [...$("speed").options].map((option) => Number(option.value));
  const at = Math.min(speeds.length - 1, Math.max(0, speeds.indexOf(replay.speed) + by));
  replay.speed = speeds[at];
  $("speed").selectedIndex = at;
}

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("select, input[type=checkbox], summary") || (event.target.matches("button") && event.key === " ");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const second = Math.max(1, Math.round(last / Math.max(1e-9, times[last] - times[0]))), step = event.shiftKey ? second : 1;
    const move = (frame) => { replay.pause(); replay.seek(frame); };
    const acts = {
      " ": () => (replay.playing ? replay.pause() : replay.play()),
      ArrowLeft: () => move(replay.frame - step), ArrowRight: () => move(replay.frame + step),
      Home: () => move(0), End: () => move(last), "+": () => faster(1), "-": () => faster(-1), "?": toggleKeys,
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });
}

function listenToPointer() {
  const held = new Map();
  stage.addEventListener("pointerdown", (event) => { held.set(event.pointerId, event); stage.setPointerCapture(event.pointerId); });
  const release = (event) => held.delete(event.pointerId);
  stage.addEventListener("pointerup", release);
  stage.addEventListener("pointercancel", release);
  stage.addEventListener("pointermove", (event) => {
    const was = held.get(event.pointerId);
    if (!was) return;
    if (held.size === 2) {
      const [other] = [...held.values()].filter((one) => one.pointerId !== event.pointerId);
      const gap = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      zoom(gap(was) / Math.max(1, gap(event)));
    } else {
      camera.yaw -= (event.clientX - was.clientX) * 0.008;
      camera.pitch = Math.min(1.5, Math.max(0.03, camera.pitch + (event.clientY - was.clientY) * 0.006));
    }
    held.set(event.pointerId, event);
    draw();
  });
  stage.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(event.deltaY * 0.001)); draw(); }, { passive: false });
  stage.addEventListener("dblclick", () => { Object.assign(camera, { yaw: home.yaw, pitch: home.pitch, distance: home.distance }); draw(); });
}

function zoom(by) {
  camera.distance = Math.min(200, Math.max(0.3, camera.distance * by));
}

function begin() {
  $("title").textContent = scene.title;
  $("facts").textContent = scene.facts.map(([name, value]) => `${name} ${value}`).join(" · ");
  stage.setAttribute("aria-label", `${scene.title}: ${scene.frames} moments of ${(times[last] || 0).toFixed(1)} s. ` +
    scene.outcome.map(([name, value, unit]) => `${name} ${value} ${unit}`).join(", "));
  if (scene.same !== null) {
    $("same").className = scene.same ? "good" : "warn";
    $("same").textContent = scene.same
      ? `Computed again for this page: the outcome is the one that the run stored, bit for bit. World ${scene.world}.`
      : `The outcome differs from the one that the run stored. ${scene.notes.join("; ")}`;
  } else $("same").textContent = `World ${scene.world}.`;
  $("scrub").max = last;
  if (!led) { $("view").remove(); $("charts").open = true; }
  if (!scene.series.length) $("charts").remove();
  readColours(); makeFigures(); makeCharts(); follow(1);
  listenToButtons(); listenToKeys(); if (led) listenToPointer();
  window.addEventListener("resize", resize);
  resize();
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) replay.pause(); else replay.play();
  requestAnimationFrame((now) => { before = now; tick(now); });
  replay.ready = true;
}

begin();
