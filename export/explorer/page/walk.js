// A walk between codes by codes of hands: its hands are made once, and then shown at any speed and place.
import { evenly } from "./model.js";

const STEPS_PER_LEG = 24;
const PER_REQUEST = 8;

export class Walk {
  // show is called with a step {code, hand}; changed when there are more or fewer steps.
  constructor(server, space, show, changed) {
    Object.assign(this, { server, space, show, changed });
    this.stops = [];
    this.steps = [];
    this.place = 0;
    this.timer = null;
  }

  get playing() {
    return this.timer !== null;
  }

  async add(code) {
    const before = this.stops.at(-1);
    this.stops.push(code);
    if (before) await this.fill(before, code);
    this.changed();
  }

  async fill(start, end) {
    const stops = this.stops;
    const codes = evenly(this.space.path(start, end), STEPS_PER_LEG + 1);
    const hands = [];
    for (let first = 0; first < codes.length; first += PER_REQUEST) {
      hands.push(...(await this.server.hands(codes.slice(first, first + PER_REQUEST))));
    }
    // Where all was forgotten meanwhile, nothing is kept.
    if (stops === this.stops) this.steps.push(...codes.map((code, step) => ({ code, hand: hands[step] })));
  }

  clear() {
    this.pause();
    this.stops = [];
    this.steps = [];
    this.place = 0;
    this.changed();
  }

  goTo(place) {
    this.place = Math.min(this.steps.length - 1, Math.max(0, place));
    this.show(this.steps[this.place]);
  }

  // There and back again, for ever.
  play(perSecond) {
    this.pause();
    let step = 1;
    this.timer = setInterval(() => {
      if (this.place + step < 0 || this.place + step >= this.steps.length) step = -step;
      this.goTo(this.place + step);
    }, 1000 / perSecond);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
  }
}
