// What the model says of itself, and where codes of hands lie in its latent space.

export async function loadModel() {
  const answer = await fetch("model.json");
  const values = await answer.json();
  if (!answer.ok) throw new Error(values.error);
  return values;
}

// A normal distribution of codes, by its principal directions; the same arithmetic as lsps_tf/pose_codes.py.
export class CodeSpace {
  constructor({ mean, directions, stddevs, distances, names }) {
    Object.assign(this, { mean, directions, stddevs, distances, names });
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

  // The share of simulated poses that lie at least as far out; distances are their percentiles.
  typicality(coordinates) {
    const distance = Math.hypot(...coordinates);
    const nearer = this.distances.findIndex((other) => other >= distance);
    return nearer < 0 ? 0 : 1 - nearer / (this.distances.length - 1);
  }

  // Normal coordinates of a seed, times the truncation.
  random(seed, truncation) {
    const uniform = mulberry32(seed);
    return Array.from({ length: this.size }, () => {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      return truncation * radius * Math.cos(2 * Math.PI * uniform());
    });
  }
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
