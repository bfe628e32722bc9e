// One's own depth frames: dropped or chosen, sent to the server as they are, and shown with what it says of them.
import { cropPixels, drawDepth, drawJoints, sureColor } from "./depth.js";

const PNG = [137, 80, 78, 71, 13, 10, 26, 10];

// Four numbers of a camera; an Error that says what is wrong otherwise.
export function readCamera(text, unit) {
  const intrinsics = text.split(/[,;\s]+/).filter(Boolean).map(Number);
  if (intrinsics.length !== 4 || !intrinsics.every(Number.isFinite) || Math.min(intrinsics[0], intrinsics[1]) <= 0) {
    throw new Error("the camera is fx, fy, cx, cy: four numbers in pixels, the first two above 0");
  }
  if (!(unit > 0)) throw new Error("the mm of one count must be above 0");
  return { intrinsics, unit };
}

// What the server makes of a frame; an Error where the file is no frame, or shows no hand.
export async function encodeFrame(server, file, { intrinsics, unit }) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (!PNG.every((byte, place) => bytes[place] === byte)) {
    throw new Error(`${file.name} is no PNG; give a depth frame as 16-bit PNG`);
  }
  const instance = { depth_png_bytes: { b64: await base64(bytes) }, intrinsics, depth_unit_mm: unit };
  let found;
  try {
    [found] = await server.predict("encode_png", [instance]);
  } catch (error) {
    throw new Error(`${file.name}: ${error.message}`);
  }
  if (!found.presence) {
    throw new Error(`${file.name}: no hand was found; it must be what is nearest to the camera, and camera and unit must be right`);
  }
  return found;
}

// Shows a frame's crop with its joints, its reconstruction and its translation.
export function showFrame(found, model, canvases) {
  const mirrored = found.hand === "left";
  drawDepth(canvases.seen, found.image, mirrored);
  const size = found.image.length;
  const joints = cropPixels(found.joints_mm, found.center_mm, found.cube_mm, size);
  const colors = found.joints_mm.map((_, j) => sureColor(found.confidence?.[j] ?? 0.5));
  drawJoints(canvases.seen, joints, model.bones, colors);
  drawDepth(canvases.rebuilt, found.real, mirrored);
  drawDepth(canvases.translated, found.synthetic, mirrored);
}

async function base64(bytes) {
  const reader = new FileReader();
  const done = new Promise((resolve, reject) => Object.assign(reader, { onload: resolve, onerror: reject }));
  reader.readAsDataURL(new Blob([bytes]));
  await done;
  return reader.result.split(",")[1];
}
