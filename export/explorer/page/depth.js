// Normalised depth on canvases: near is bright, nothing is dark; and joints over it.

const DARK = [16, 18, 24];

// image: [S][S][1] in [-1, 1], 1 is background.
export function drawDepth(canvas, image, mirrored = false) {
  const size = image.length;
  const pixels = new ImageData(size, size);
  image.forEach((row, y) =>
    row.forEach(([value], x) => {
      const shade = Math.min(1, Math.max(0, 0.5 * (1 - value)));
      const place = 4 * (y * size + (mirrored ? size - 1 - x : x));
      DARK.forEach((dark, channel) => (pixels.data[place + channel] = dark + shade * (250 - dark)));
      pixels.data[place + 3] = 255;
    }),
  );
  canvas.width = canvas.height = size;
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

// The shades of an image as bytes, for pictures that are saved.
export function shadesOf(image) {
  return image.flatMap((row) => row.map(([value]) => Math.round(255 * Math.min(1, Math.max(0, 0.5 * (1 - value))))));
}

// Enlarges what a canvas shows and draws joints and bones over it; each bone has the colour of its outer joint.
export function drawJoints(canvas, joints, bones, colors, scale = 6) {
  const size = canvas.width;
  const picture = new OffscreenCanvas(size, size);
  picture.getContext("2d").drawImage(canvas, 0, 0);
  canvas.width = canvas.height = scale * size;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  context.lineWidth = scale * 0.4;
  context.lineCap = "round";
  for (const [parent, child] of bones) {
    context.strokeStyle = colors[child];
    context.beginPath();
    context.moveTo(...joints[parent].map((part) => (part + 0.5) * scale));
    context.lineTo(...joints[child].map((part) => (part + 0.5) * scale));
    context.stroke();
  }
  joints.forEach(([x, y], joint) => {
    context.fillStyle = colors[joint];
    context.beginPath();
    context.arc((x + 0.5) * scale, (y + 0.5) * scale, scale * 0.4, 0, 2 * Math.PI);
    context.fill();
  });
}

// Where joints in camera space lie in the crop of a cube, in its pixels.
export function cropPixels(jointsMm, centerMm, cubeMm, size) {
  const [cx, cy, cz] = centerMm;
  return jointsMm.map(([x, y, z]) => [
    ((x / z - cx / cz) * (cz / cubeMm) + 0.5) * size - 0.5,
    ((y / z - cy / cz) * (cz / cubeMm) + 0.5) * size - 0.5,
  ]);
}

// Blue where a joint is sure, orange where it is not: told apart by the colour-blind, too.
export function sureColor(confidence) {
  const sure = Math.min(1, Math.max(0, confidence));
  const mixed = [[255, 140, 40], [70, 170, 255]].map((color, side) => color.map((part) => part * (side ? sure : 1 - sure)));
  return `rgb(${mixed[0].map((part, i) => Math.round(part + mixed[1][i])).join(" ")})`;
}
