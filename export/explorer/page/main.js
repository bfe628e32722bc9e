// The page: what the sliders, the address, frames and the walk say becomes one code, and the code becomes a hand.
import { drawDepth, shadesOf } from "./depth.js";
import { encodeFrame, readCamera, showFrame } from "./frames.js";
import { grayGif } from "./gif.js";
import { CodeSpace, loadModel } from "./model.js";
import { latest, Server } from "./server.js";
import { SkeletonView } from "./skeleton.js";
import { Sliders } from "./sliders.js";
import { readState, writeState } from "./state.js";
import { Walk } from "./walk.js";

const LARGE_DIRECTIONS = 8;
const REACH = 4;
const OWN_CAMERA = "own";
const GIF_SCALE = 3;
const SAY_AFTER_MS = 500;
const byId = (id) => document.getElementById(id);
const DEGREES = Math.PI / 180;

function complain(error) {
  byId("message").textContent = error.message;
  byId("message").hidden = false;
}

class Page {
  constructor(model) {
    this.model = model;
    this.space = new CodeSpace(model.codes);
    this.server = new Server(model.name);
    this.coordinates = new Array(this.space.size).fill(0);
    this.hand = null;
    byId("about").textContent += ` ${model.name}, version ${model.version}: ${model.joint_names.length} joints.`;
    this.view = new SkeletonView(byId("pose"), model.joint_names, model.bones, () => this.remember());
    this.walk = new Walk(this.server, this.space, (step) => this.showStep(step), () => this.walkChanged());
    this.draw = latest(async (coordinates) => {
      const code = this.space.code(coordinates);
      const [hand] = await this.server.hands([code]);
      this.showHand(code, hand);
    }, complain);
    this.turnAngles = latest(async (values) => {
      const count = this.model.codes.angles.length;
      const radians = values.map((value) => value * DEGREES);
      const [code] = await this.server.predict("encode_angles", [
        { angles: radians.slice(0, count), turn: radians.slice(count) },
      ]);
      this.setCode(code);
    }, complain);
    this.buildSliders();
    this.listen();
    this.restore();
  }

  buildSliders() {
    const rows = this.space.names.map((name, k) => ({
      label: name, low: -REACH, high: REACH, value: 0,
      parent: byId(k < LARGE_DIRECTIONS ? "directions" : "more-directions"),
    }));
    this.sliders = new Sliders(rows, "", (values) => this.setCoordinates(values));
    const angles = this.model.codes.angles.map(({ name, low, high }) => ({
      label: name.replaceAll("_", " "), low: low / DEGREES, high: high / DEGREES, value: Math.max(0, low / DEGREES),
      parent: byId("angles"),
    }));
    const turns = ["turned in the picture", "turned about the picture's x", "turned about the picture's y"].map((label) => ({
      label, low: -180, high: 180, value: 0, parent: byId("angles"),
    }));
    this.angles = new Sliders([...angles, ...turns], "°", (values) => this.turnAngles(values));
    for (const [name, { width, height }] of Object.entries(this.model.cameras)) {
      byId("camera").append(new Option(`${name.toUpperCase()}, ${width} x ${height}`, name));
    }
    byId("camera").append(new Option("its numbers", OWN_CAMERA));
    this.cameraChanged();
  }

  cameraChanged() {
    const camera = this.model.cameras[byId("camera").value];
    if (!camera) return;
    byId("intrinsics").value = camera.intrinsics.join(", ");
    byId("unit").value = camera.depth_unit_mm;
  }

  setCode(code) {
    this.setCoordinates(this.space.coordinates(code));
  }

  setCoordinates(coordinates) {
    this.coordinates = this.sliders.values = coordinates;
    this.remember();
    this.draw(coordinates);
    this.showTypicality(this.space.code(coordinates));
  }

  showStep({ code, hand }) {
    this.coordinates = this.sliders.values = this.space.coordinates(code);
    this.showTypicality(code);
    this.showHand(code, hand);
    byId("place").value = this.walk.place;
  }

  showHand(code, hand) {
    this.code = code;
    this.hand = hand;
    drawDepth(byId("synthetic"), hand.synthetic);
    drawDepth(byId("real"), hand.real);
    this.view.show(hand.joints_norm);
    document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
    clearTimeout(this.saying);
    this.saying = setTimeout(() => this.say(), SAY_AFTER_MS);
  }

  // For screen readers, once the hand stands still.
  say() {
    if (this.walk.playing) return;
    const strongest = this.coordinates
      .map((value, k) => [Math.abs(value), `${this.space.names[k]} ${value.toFixed(1)}`])
      .sort(([one], [other]) => other - one)
      .slice(0, 3)
      .map(([, text]) => text);
    byId("status").textContent = `Hand drawn; strongest: ${strongest.join("; ")}.`;
  }

  showTypicality(code) {
    const typicality = this.space.typicality(code);
    byId("typicality").value = typicality;
    byId("typicality-text").textContent =
      typicality > 0
        ? `${Math.round(100 * typicality)} % of simulated hands are as far from the next one`
        : "no simulated hand is so far from the next one";
  }

  remember() {
    const { coordinates } = this;
    writeState({ coordinates, seed: this.seed, truncation: this.truncation, turn: this.view.turn });
  }

  restore() {
    const { coordinates, seed, truncation, turn } = readState(this.space.size);
    if (seed !== null) byId("seed").value = seed;
    if (truncation !== null) byId("truncation").value = truncation;
    if (turn !== null) this.view.setTurn(turn);
    this.setCoordinates(coordinates ?? this.space.coordinates(this.space.start));
  }

  get seed() {
    return Math.max(0, Math.floor(Number(byId("seed").value)) || 0);
  }

  get truncation() {
    return Math.min(3, Math.max(0, Number(byId("truncation").value) || 0));
  }

  listen() {
    const click = (id, act) => byId(id).addEventListener("click", () => this.tried(act));
    click("random", () => {
      const code = this.space.random(this.seed, this.truncation);
      byId("seed").value = this.seed + 1;
      this.setCode(code);
    });
    click("reset", () => this.setCode(this.space.start));
    click("add", () => this.walk.add(this.space.code(this.coordinates)));
    click("clear", () => this.walk.clear());
    click("play", () => this.playOrPause());
    click("save-png", () => this.savePng());
    click("save-gif", () => this.saveGif());
    click("save-json", () => this.saveJson());
    for (const id of ["seed", "truncation"]) byId(id).addEventListener("change", () => this.remember());
    byId("place").addEventListener("input", (event) => this.walk.goTo(Number(event.target.value)));
    byId("speed").addEventListener("input", (event) => this.walk.playing && this.walk.play(Number(event.target.value)));
    byId("camera").addEventListener("change", () => this.cameraChanged());
    byId("intrinsics").addEventListener("input", () => (byId("camera").value = OWN_CAMERA));
    byId("file").addEventListener("change", (event) => this.tried(() => this.takeFiles(event.target.files)));
    const drop = byId("drop");
    for (const kind of ["dragover", "dragleave", "drop"]) {
      document.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.toggle("over", kind === "dragover");
      });
    }
    document.addEventListener("drop", (event) => this.tried(() => this.takeFiles(event.dataTransfer.files)));
    addEventListener("hashchange", () => this.restore());
  }

  async tried(act) {
    byId("message").hidden = true;
    try {
      await act();
    } catch (error) {
      complain(error);
    }
  }

  async takeFiles(files) {
    const camera = readCamera(byId("intrinsics").value, Number(byId("unit").value));
    for (const file of files) {
      const found = await encodeFrame(this.server, file, camera);
      byId("frame").hidden = false;
      showFrame(found, this.model, { seen: byId("seen"), rebuilt: byId("rebuilt"), translated: byId("translated") });
      this.setCode(found.code);
      byId("status").textContent = `${file.name}: a ${found.hand} hand, ${Math.round(found.center_mm[2])} mm away.`;
      await this.walk.add(found.code);
    }
  }

  walkChanged() {
    const { stops, steps } = this.walk;
    byId("stops").textContent = stops.length < 2 ? `${["no stops", "one stop"][stops.length]}; two make a walk` : `${stops.length} stops`;
    for (const id of ["play", "place", "save-gif"]) byId(id).disabled = steps.length === 0;
    byId("place").max = Math.max(1, steps.length - 1);
    byId("place").value = this.walk.place;
    byId("play").textContent = this.walk.playing ? "Pause" : "Play";
  }

  playOrPause() {
    if (this.walk.playing) this.walk.pause();
    else this.walk.play(Number(byId("speed").value));
    if (!this.walk.playing) this.remember();
    this.walkChanged();
  }

  savePng() {
    const canvases = ["synthetic", "real", "pose"].map(byId);
    const side = 384;
    const sheet = Object.assign(document.createElement("canvas"), { width: 3 * side, height: side });
    const context = sheet.getContext("2d");
    this.view.render();
    canvases.forEach((canvas, column) => {
      context.imageSmoothingEnabled = canvas.id === "pose";
      context.drawImage(canvas, column * side, 0, side, side);
    });
    sheet.toBlob((blob) => save(blob, "hand.png"));
  }

  saveGif() {
    const size = this.walk.steps[0].hand.real.length;
    const there = this.walk.steps.map(({ hand }) => sideBySide(shadesOf(hand.synthetic), shadesOf(hand.real), size));
    const frames = [...there, ...there.slice(1, -1).reverse()];
    const delay = Math.max(2, Math.round(100 / Number(byId("speed").value)));
    save(grayGif(2 * GIF_SCALE * size, GIF_SCALE * size, frames, delay), "walk.gif");
  }

  saveJson() {
    const { code, hand, model } = this;
    const joints_mm = hand.joints_norm.map((joint) => joint.map((part) => 0.5 * model.cube_mm * part));
    const typicality = this.space.typicality(code);
    const values = { model: model.name, version: model.version, code, typicality, joint_names: model.joint_names, joints_mm };
    save(new Blob([JSON.stringify(values, null, 2)], { type: "application/json" }), "hand.json");
  }
}

// Two pictures beside each other, each pixel a square of GIF_SCALE.
function sideBySide(left, right, size) {
  return Array.from({ length: GIF_SCALE * size }, (_, y) => Math.floor(y / GIF_SCALE) * size).flatMap((row) =>
    [left, right].flatMap((pixels) =>
      Array.from({ length: GIF_SCALE * size }, (_, x) => pixels[row + Math.floor(x / GIF_SCALE)]),
    ),
  );
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

try {
  const model = await loadModel();
  document.querySelector("main").hidden = false;
  window.explorer = new Page(model);
} catch (error) {
  complain(error);
}
