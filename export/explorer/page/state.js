// The page's state in its address: coordinates of the code, seed, truncation, and how the skeleton is turned.

export function writeState({ coordinates, seed, truncation, turn }) {
  const short = (number) => String(Number(number.toFixed(3)));
  const values = new URLSearchParams({ c: coordinates.map(short), s: seed, t: truncation, v: turn.map(short) });
  history.replaceState(null, "", `#${decodeURIComponent(values)}`);
}

// What the address holds; null for what it lacks or what has no meaning.
export function readState(size) {
  const values = new URLSearchParams(location.hash.slice(1));
  const numbers = (name, count) => {
    const found = (values.get(name) ?? "").split(",").map(Number);
    return values.has(name) && found.length === count && found.every(Number.isFinite) ? found : null;
  };
  return {
    coordinates: numbers("c", size),
    seed: numbers("s", 1)?.[0] ?? null,
    truncation: numbers("t", 1)?.[0] ?? null,
    turn: numbers("v", 2),
  };
}
