"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const items = JSON.parse(document.getElementById("items").textContent);

  /* ---- Light and dark: the system's, until the reader chooses. */
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const themeButton = document.getElementById("theme");
  const memory = {
    // A page opened as a file may have no storage; then the choice lasts as long as the page.
    get() { try { return localStorage.getItem("vda-theme"); } catch { return null; } },
    set(value) { try { localStorage.setItem("vda-theme", value); } catch { /* nothing to keep it in */ } },
  };
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const showTheme = () => {
    themeButton.textContent = isDark() ? "Light" : "Dark";
    themeButton.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
    themeButton.setAttribute("aria-pressed", String(isDark()));
  };
  const remembered = memory.get();
  if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    memory.set(root.dataset.theme);
    showTheme();
  });
  dark.addEventListener("change", showTheme);
  showTheme();

  if (!items.length) return;

  /* ---- The player: one, moved into the panel that is shown. */
  const player = document.getElementById("player-template").content.firstElementChild.cloneNode(true);
  const $ = (selector) => player.querySelector(selector);
  const video = $("video"), canvas = $("canvas"), still = $(".still"), trouble = $(".trouble");
  const scrub = $(".scrub"), readout = $(".readout"), speed = $(".speed"), wipe = $(".wipe");
  const pen = canvas.getContext("2d");
  let itemIndex = -1, view = null, blobUrl = null, wanted = null;

  const sourceOf = (reference) => {
    if (!reference.startsWith("#")) return reference;
    const binary = atob(document.getElementById(reference.slice(1)).textContent);
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    return blobUrl = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  };

  /* Frames: where each begins, from the file itself; a seek aims at the middle of one. */
  const frameCount = () => view.times ? view.times.n : Math.max(1, Math.round((video.duration || 0) * 30));
  const frameStart = (k) => {
    const times = view.times;
    if (!times) return k / 30;
    return times.at ? times.at[k] : times.start + k * times.step;
  };
  const frameAt = (seconds) => {
    let low = 0, high = frameCount() - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (frameStart(middle) <= seconds + 1e-4) low = middle; else high = middle - 1;
    }
    return low;
  };
  const now = () => wanted === null ? frameAt(video.currentTime) : wanted;
  const seekTo = (frame) => {
    const k = Math.min(Math.max(frame, 0), frameCount() - 1);
    const end = k + 1 < frameCount() ? frameStart(k + 1) : Math.max(video.duration || 0, frameStart(k));
    wanted = k;
    video.currentTime = (frameStart(k) + end) / 2;
    showPosition();
  };
  const step = (frames) => { video.pause(); seekTo(now() + frames); };

  const showPosition = () => {
    const k = now(), total = frameCount();
    scrub.max = total - 1;
    scrub.value = k;
    const seconds = frameStart(k).toFixed(2);
    readout.value = `${seconds} s, frame ${k + 1} of ${total}`;
    scrub.setAttribute("aria-valuetext", readout.value);
  };
  const showPlaying = () => {
    const button = $("[data-do=toggle]");
    button.textContent = video.paused ? "Play" : "Pause";
    button.setAttribute("aria-label", button.textContent);
  };
  const toggle = () => video.paused ? video.play().catch(() => {}) : video.pause();

  /* The wipe: both halves of the side by side laid over each other. */
  const drawWipe = () => {
    if (canvas.hidden || !video.videoWidth) return;
    const height = video.videoHeight, left = Math.round(video.videoWidth * view.split);
    const right = video.videoWidth - left;
    if (canvas.width !== left || canvas.height !== height) { canvas.width = left; canvas.height = height; }
    const x = Math.round(left * wipe.value / 100);
    pen.drawImage(video, 0, 0, left, height, 0, 0, left, height);
    pen.save();
    pen.beginPath();
    pen.rect(x, 0, left - x, height);
    pen.clip();
    pen.drawImage(video, left, 0, right, height, 0, 0, left, height);
    pen.restore();
    pen.fillStyle = "#fff";
    pen.shadowColor = "rgba(0,0,0,.6)";
    pen.shadowBlur = 6;
    pen.fillRect(x - 1.5, 0, 3, height);
    pen.beginPath();
    pen.arc(x, height / 2, 15, 0, 2 * Math.PI);
    pen.fill();
    pen.shadowBlur = 0;
    pen.fillStyle = "#10151d";
    for (const side of [-1, 1]) {
      pen.beginPath();
      pen.moveTo(x + side * 4, height / 2 - 6);
      pen.lineTo(x + side * 10, height / 2);
      pen.lineTo(x + side * 4, height / 2 + 6);
      pen.fill();
    }
  };
  const dragWipe = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    if (event.type === "pointerdown") canvas.setPointerCapture(event.pointerId);
    const box = canvas.getBoundingClientRect();
    wipe.value = 100 * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    drawWipe();
  };

  const eachFrame = () => {
    if (!video.paused) wanted = null;
    if (view && view.kind === "video") { showPosition(); drawWipe(); }
  };
  const follow = () => {
    if ("requestVideoFrameCallback" in video) {
      const next = () => { eachFrame(); video.requestVideoFrameCallback(next); };
      video.requestVideoFrameCallback(next);
    } else {
      const next = () => { eachFrame(); requestAnimationFrame(next); };
      requestAnimationFrame(next);
    }
  };

  const complain = (text) => { trouble.textContent = text; trouble.hidden = !text; };

  const showView = (chosen) => {
    const keepsFilm = view && view.source === chosen.source && chosen.kind === "video";
    const isPicture = chosen.kind === "picture", isWipe = chosen.split !== null;
    view = chosen;
    for (const button of player.querySelectorAll(".modes button")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view.key));
    }
    complain("");
    still.hidden = !isPicture;
    video.hidden = isPicture || isWipe;
    canvas.hidden = !isWipe;
    $(".wipe-control").hidden = !isWipe;
    $(".controls").hidden = scrub.hidden = isPicture;
    player.dataset.view = view.key;
    if (isPicture) { video.pause(); still.src = view.source; return; }
    if (!keepsFilm) {
      if (blobUrl) URL.revokeObjectURL(blobUrl);
      blobUrl = wanted = null;
      video.src = sourceOf(view.source);
      video.playbackRate = video.defaultPlaybackRate = Number(speed.value);
    }
    showPosition();
    drawWipe();
  };

  const showItem = (index) => {
    if (index === itemIndex) return;
    const held = view && view.key;
    itemIndex = index;
    const item = items[index];
    for (const panel of document.querySelectorAll(".panel")) panel.classList.toggle("current", panel.id === item.id);
    for (const card of document.querySelectorAll(".card")) {
      const current = card.hash === `#${item.id}`;
      card.setAttribute("aria-current", String(current));
      if (current) {
        const shelf = card.closest(".groups"), box = card.getBoundingClientRect(), frame = shelf.getBoundingClientRect();
        if (box.top < frame.top || box.bottom > frame.bottom) shelf.scrollTop += box.top - frame.top - 40;
        if (box.left < frame.left || box.right > frame.right) shelf.scrollLeft += box.left - frame.left - 40;
      }
    }
    const panel = document.getElementById(item.id);
    panel.querySelector(".slot").append(player);
    if (view && panel.getBoundingClientRect().top < 0) panel.scrollIntoView();
    player.setAttribute("aria-label", `Player, ${item.title}`);
    $(".position").textContent = `${index + 1} of ${items.length}`;
    $(".modes").replaceChildren(...item.views.map((each) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.view = each.key;
      button.textContent = each.label;
      button.addEventListener("click", () => showView(each));
      return button;
    }));
    $(".modes").hidden = item.views.length < 2;
    video.pause();
    view = null;
    showView(item.views.find((each) => each.key === held) || item.views[0]);
  };

  const go = (by) => {
    const visible = items.map((_, k) => k).filter((k) => !isFiltered(items[k].id));
    const order = visible.length ? visible : items.map((_, k) => k);
    const at = order.indexOf(itemIndex);
    const next = order[(at + by + order.length) % order.length];
    history.replaceState(null, "", `#${items[next].id}`);
    showItem(next);
  };
  const cycleView = () => {
    const views = items[itemIndex].views;
    showView(views[(views.findIndex((each) => each.key === view.key) + 1) % views.length]);
  };
  const changeSpeed = (by) => {
    const index = Math.min(Math.max(speed.selectedIndex + by, 0), speed.options.length - 1);
    speed.selectedIndex = index;
    video.playbackRate = Number(speed.value);
  };
  const fullscreen = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else $(".screen").requestFullscreen?.().catch(() => {});
  };

  const deeds = {
    toggle, fullscreen,
    back: () => step(-1), forward: () => step(1),
    previous: () => go(-1), next: () => go(1),
  };
  player.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) deeds[button.dataset.do]();
  });
  for (const name of ["play", "pause"]) video.addEventListener(name, showPlaying);
  video.addEventListener("play", () => { wanted = null; });
  for (const name of ["loadeddata", "seeked"]) video.addEventListener(name, eachFrame);
  video.addEventListener("click", toggle);
  video.addEventListener("error", () => complain("This film can't be played here: the browser lacks its codec, or the page was moved without its folder."));
  for (const name of ["pointerdown", "pointermove"]) canvas.addEventListener(name, dragWipe);
  scrub.addEventListener("input", () => { video.pause(); seekTo(Number(scrub.value)); });
  speed.addEventListener("change", () => { video.playbackRate = Number(speed.value); });
  wipe.addEventListener("input", drawWipe);

  const keys = {
    " ": toggle, k: toggle, v: cycleView, f: fullscreen,
    ArrowLeft: (event) => step(event.shiftKey ? -10 : -1),
    ArrowRight: (event) => step(event.shiftKey ? 10 : 1),
    Home: () => step(-Infinity), End: () => step(Infinity),
    "<": () => changeSpeed(-1), ">": () => changeSpeed(1),
    "[": () => go(-1), "]": () => go(1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target, tag = target.tagName;
    const typing = tag === "SELECT" || tag === "TEXTAREA" || (tag === "INPUT" && target !== scrub);
    const pressing = event.key === " " && (tag === "BUTTON" || tag === "A" || tag === "SUMMARY");
    const scrolling = target.closest?.("pre") && event.key.startsWith("Arrow");
    const deed = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const ofPage = (event.key === "Home" || event.key === "End") && !player.contains(target);
    if (!deed || typing || pressing || scrolling || ofPage || (view.kind === "picture" && !"[]v".includes(event.key))) return;
    event.preventDefault();
    deed(event);
  });

  /* ---- Which item: the address says; the filter narrows the rail. */
  const filter = document.getElementById("filter");
  const cardOf = (id) => document.querySelector(`.card[href="#${id}"]`)?.closest("li");
  function isFiltered(id) { return Boolean(cardOf(id)?.hidden); }
  filter?.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const group of document.querySelectorAll(".group")) {
      let inGroup = 0;
      for (const entry of group.querySelectorAll("li")) {
        entry.hidden = !words.every((word) => entry.dataset.search.includes(word));
        inGroup += entry.hidden ? 0 : 1;
      }
      group.hidden = !inGroup;
      left += inGroup;
    }
    document.getElementById("filter-none").hidden = left > 0;
  });
  const fromAddress = () => Math.max(0, items.findIndex((item) => `#${item.id}` === location.hash));
  addEventListener("hashchange", () => { if (location.hash.startsWith("#item-")) showItem(fromAddress()); });
  follow();
  showItem(fromAddress());
})();
