// A GIF of grey pictures (GIF89a), repeated for ever.

// frames: arrays of width * height bytes; delay in hundredths of a second. Gives a Blob.
export function grayGif(width, height, frames, delay) {
  const word = (value) => [value & 255, value >> 8];
  const palette = Array.from({ length: 256 }, (_, shade) => [shade, shade, shade]).flat();
  const parts = [
    ascii("GIF89a"), [...word(width), ...word(height), 0xf7, 0, 0], palette,
    [0x21, 0xff, 11], ascii("NETSCAPE2.0"), [3, 1, 0, 0, 0],
  ];
  for (const pixels of frames) {
    parts.push([0x21, 0xf9, 4, 0, ...word(delay), 0, 0], [0x2c, 0, 0, 0, 0, ...word(width), ...word(height), 0], [8]);
    const data = compress(pixels);
    for (let first = 0; first < data.length; first += 255) {
      const block = data.slice(first, first + 255);
      parts.push([block.length], block);
    }
    parts.push([0]);
  }
  parts.push([0x3b]);
  return new Blob(parts.map((part) => Uint8Array.from(part)), { type: "image/gif" });
}

function ascii(text) {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}

// LZW with codes from 9 to 12 bits, as GIF has it.
function compress(pixels) {
  const CLEAR = 256;
  const END = 257;
  const bytes = [];
  let bits = 0;
  let held = 0;
  let width = 9;
  let table = new Map();
  const put = (code) => {
    held |= code << bits;
    bits += width;
    for (; bits >= 8; bits -= 8, held >>>= 8) bytes.push(held & 255);
  };
  put(CLEAR);
  let prefix = pixels[0];
  for (let place = 1; place < pixels.length; place++) {
    const key = prefix * 256 + pixels[place];
    if (table.has(key)) {
      prefix = table.get(key);
      continue;
    }
    put(prefix);
    const next = END + 1 + table.size;
    if (next < 4096) {
      table.set(key, next);
      if (next === 1 << width) width++;
    } else {
      put(CLEAR);
      table = new Map();
      width = 9;
    }
    prefix = pixels[place];
  }
  put(prefix);
  put(END);
  if (bits) bytes.push(held & 255);
  return bytes;
}
