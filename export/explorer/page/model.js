// What the model says of itself, and where codes of hands lie in its latent space.

export async function loadModel() {
  const answer = await fetch("model.json");
  const values = await answer.json();
  if (!answer.ok) throw new Error(values.error);
  return values;
}

const NEIGHBORS = 8;

// Codes of hands and their principal directions; the same arithmetic as lsps_tf/pose_codes.py.
export class CodeSpace {
  constructor({ known, distances, mean, directions, stddevs, names, start }) {
    Object.assign(this, { known, distances, mean, directions, stddevs, names, start });
  }

  get size() {
    return this.stddevs.length;
  }

  // Coordinates in standard deviations to a code.
  code(coordinates) {
    return this.mean.map((middle, z) =>
      this.directions.reduce((sum, direction, k) => sum + coordinates[k] * this.stddevs[k] * direction[z], middle),
    );
  }

  coordinates(code) {
    return this.directions.map(
      (direction, k) => direction.reduce((sum, part, z) => sum + part * (code[z] - this.mean[z]), 0) / this.stddevs[k],
    );
  }

  // The share of known codes whose nearest other one is as far as the nearest of them; distances are percentiles.
  typicality(code) {
    const nearest = Math.sqrt(Math.min(...this.known.map((other) => squared(other, code))));
    const nearer = this.distances.findIndex((other) => other >= nearest);
    return nearer < 0 ? 0 : 1 - nearer / (this.distances.length - 1);
  }

  // A code between a known one and one of its neighbours.
  random(seed, truncation) {
    const uniform = mulberry32(seed);
    const start = this.known[Math.floor(uniform() * this.known.length)];
    const order = this.known.map((code) => [squared(code, start), code]).sort(([one], [other]) => one - other);
    const near = order.slice(1, NEIGHBORS + 1).map(([, code]) => code);
    const share = truncation * uniform();
    const end = near[Math.floor(uniform() * near.length)];
    return start.map((part, z) => part + share * (end[z] - part));
  }

  // The way from code to code by known ones with the smallest sum of squared steps, both ends included.
  path(start, end) {
    const codes = [...this.known, end, start];
    const [last, first] = [codes.length - 2, codes.length - 1];
    const cost = codes.map((_, place) => (place === first ? 0 : Infinity));
    const before = codes.map(() => first);
    const left = new Set(codes.keys());
    while (left.has(last)) {
      let place = last;
      for (const other of left) if (cost[other] < cost[place]) place = other;
      left.delete(place);
      for (const other of left) {
        const reached = cost[place] + squared(codes[place], codes[other]);
        if (reached < cost[other]) [cost[other], before[other]] = [reached, place];
      }
    }
    const way = [last];
    while (way.at(-1) !== first) way.push(before[way.at(-1)]);
    return way.reverse().map((place) => codes[place]);
  }
}

// Codes at even steps along the lines through corners, both ends included.
export function evenly(corners, count) {
  const lengths = corners.slice(1).map((code, k) => Math.sqrt(squared(code, corners[k])));
  const whole = lengths.reduce((sum, length) => sum + length, 0);
  return Array.from({ length: count }, (_, step) => {
    let rest = (whole * step) / (count - 1);
    let leg = 0;
    while (leg < lengths.length - 1 && rest > lengths[leg]) rest -= lengths[leg++];
    const share = lengths[leg] ? Math.min(1, rest / lengths[leg]) : 0;
    return corners[leg].map((part, z) => part + share * (corners[leg + 1][z] - part));
  });
}

function squared(one, other) {
  let sum = 0;
  for (let z = 0; z < one.length; z++) sum += (one[z] - other[z]) ** 2;
  return sum;
}

function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
