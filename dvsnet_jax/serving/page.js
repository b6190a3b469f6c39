"use strict";
const status = document.getElementById("status");
const button = document.getElementById("pause");
const cards = [];
let paused = false;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const digits = (value, places) => (value === null || value === undefined ? "–" : value.toFixed(places));

function toggle() {
  paused = !paused;
  button.setAttribute("aria-pressed", paused);
  button.textContent = paused ? "Go on" : "Pause";
}
button.addEventListener("click", toggle);
document.addEventListener("keydown", (event) => {
  // On the button itself the browser makes a click of it.
  if (event.code !== "Space" || event.repeat || event.target === button || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  toggle();
});

class Card {
  constructor(place) {
    this.place = place;
    this.root = document.getElementById("source").content.firstElementChild.cloneNode(true);
    document.getElementById("sources").append(this.root);
    this.image = this.root.querySelector("img");
    this.shown = 0;
    this.ended = false;
    this.run();
  }

  fact(name, text, small) {
    const place = this.root.querySelector(`[data-fact=${name}]`);
    place.textContent = text;
    if (small) place.append(Object.assign(document.createElement("small"), { textContent: small }));
  }

  tell(source) {
    this.ended = source.ended;
    this.root.classList.toggle("ended", source.ended);
    this.root.querySelector("h2").textContent = source.name + (source.ended ? " – ended" : "");
    if (!source.number) return;
    const silent = !source.ended && source.silent > 5 ? `nothing for ${source.silent.toFixed(0)} s` : "";
    this.fact("fps", digits(source.fps, 1), silent);
    this.fact("share", source.share === null ? "–" : `${(100 * source.share).toFixed(1)} %`, "of the last 50 frames");
    this.fact("lag", source.lag === null ? "–" : `${digits(source.lag, 2)} s`);
    this.fact("frames", String(source.number), source.dropped === null ? "" : `${source.dropped} dropped`);
    const grid = this.root.querySelector(".scores");
    grid.style.gridTemplateColumns = `repeat(${source.regions[1]}, minmax(0, 1fr))`;
    grid.replaceChildren(...source.scores.map((score, region) => Object.assign(document.createElement("span"), {
      className: source.segmented[region] ? "anew" : "", textContent: digits(score, 1),
    })));
    const anew = source.segmented.filter(Boolean).length;
    grid.setAttribute("aria-label", `${anew} of ${source.segmented.length} regions segmented anew in frame ${source.frame}`);
    this.image.alt = `${source.name}: newest frame with its labels`;
  }

  async run() {
    for (;;) {
      if (paused || document.hidden) { await pause(100); continue; }
      try {
        // A browser opens six connections to a server: with many sources none may wait there.
        const wait = cards.length > 4 ? 0 : 3;
        const ended = this.ended;
        const answer = await fetch(`picture/${this.place}?after=${this.shown}&wait=${wait}`);
        if (answer.status === 200) {
          const content = await answer.blob();
          if (paused) continue;
          const before = this.image.src;
          this.image.src = URL.createObjectURL(content);
          await this.image.decode().catch(() => {});
          if (before) URL.revokeObjectURL(before);
          this.shown = Number(answer.headers.get("X-Frame"));
          this.root.dataset.shown = this.shown;
        } else {
          // Nothing comes of it any more, and of many inputs the page would ask for all of them for ever.
          if (ended) return;
          await pause(150);
        }
      } catch {
        await pause(1000);
      }
    }
  }
}

async function watch() {
  for (;;) {
    try {
      const answer = await fetch("state");
      if (!answer.ok) throw new Error(answer.status);
      const { running, sources } = await answer.json();
      while (cards.length < sources.length) cards.push(new Card(cards.length));
      cards.forEach((card, place) => card.tell(sources[place]));
      const state = `${running.length} of ${sources.length} ${sources.length === 1 ? "source" : "sources"} running`;
      status.textContent = paused ? `${state}; pictures paused` : state;
      status.className = "";
    } catch {
      status.textContent = "the run has ended, or cannot be reached";
      status.className = "wrong";
    }
    await pause(500);
  }
}
watch();
