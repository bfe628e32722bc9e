// The skeleton in 3D, which a pointer or the arrow keys turn.
import * as THREE from "./vendor/three.module.min.js";

export const FINGER_COLORS = {
  thumb: 0xff5c5c, index: 0xffb02e, middle: 0xff6ec8, ring: 0x409cff, pinky: 0xa870ff, palm: 0x28c8c8,
};
const UP = new THREE.Vector3(0, 1, 0);
const TURN_PER_KEY = 0.15;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class SkeletonView {
  constructor(canvas, names, bones, turned) {
    this.canvas = canvas;
    this.bones = bones;
    this.turned = turned;
    this.turn = [0.3, 0.15];
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true });
    this.scene = new THREE.Scene();
    this.scene.background = new THREE.Color(0x101218);
    this.scene.add(new THREE.HemisphereLight(0xffffff, 0x667088, 3));
    this.camera = new THREE.PerspectiveCamera(32, 1, 0.1, 20);
    this.camera.position.z = 3.8;
    this.hand = new THREE.Group();
    this.scene.add(this.hand);
    const color = (name) => {
      const finger = Object.keys(FINGER_COLORS).find((key) => name.startsWith(`${key}_`)) ?? "palm";
      return new THREE.Color(FINGER_COLORS[finger]);
    };
    // All balls in one draw call, and all sticks in another, of few triangles: computers without a GPU draw them, too.
    const ball = new THREE.SphereGeometry(0.032, 10, 8);
    const stick = new THREE.CylinderGeometry(0.02, 0.02, 1, 8, 1, true);
    this.balls = new THREE.InstancedMesh(ball, new THREE.MeshLambertMaterial(), names.length);
    this.sticks = new THREE.InstancedMesh(stick, new THREE.MeshLambertMaterial(), bones.length);
    names.forEach((name, j) => this.balls.setColorAt(j, color(name)));
    bones.forEach(([, child], k) => this.sticks.setColorAt(k, color(names[child])));
    for (const mesh of [this.balls, this.sticks]) mesh.frustumCulled = false;
    this.hand.add(this.balls, this.sticks);
    this.listen();
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  // joints: [J][3] in half cubes, y down and z away; three.js has y up and z towards the viewer.
  show(joints) {
    const places = joints.map(([x, y, z]) => new THREE.Vector3(x, -y, -z));
    const matrix = new THREE.Matrix4();
    places.forEach((place, j) => this.balls.setMatrixAt(j, matrix.makeTranslation(place)));
    this.bones.forEach(([parent, child], k) => {
      const along = places[child].clone().sub(places[parent]);
      const length = Math.max(along.length(), 1e-4);
      const middle = places[parent].clone().addScaledVector(along, 0.5);
      const turn = new THREE.Quaternion().setFromUnitVectors(UP, along.normalize());
      this.sticks.setMatrixAt(k, matrix.compose(middle, turn, new THREE.Vector3(1, length, 1)));
    });
    for (const mesh of [this.balls, this.sticks]) mesh.instanceMatrix.needsUpdate = true;
    this.draw();
  }

  setTurn(turn) {
    this.turn = [turn[0], Math.min(1.5, Math.max(-1.5, turn[1]))];
    this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.render();
    });
  }

  // At once, so that the canvas can be read in the same task.
  render() {
    const side = this.canvas.clientWidth;
    if (!side) return;
    const ratio = Math.min(2, window.devicePixelRatio);
    if (this.side !== side || this.ratio !== ratio) {
      Object.assign(this, { side, ratio });
      this.renderer.setPixelRatio(ratio);
      this.renderer.setSize(side, side, false);
    }
    this.hand.rotation.set(this.turn[1], this.turn[0], 0, "XYZ");
    this.renderer.render(this.scene, this.camera);
  }

  listen() {
    const move = (x, y) => {
      this.setTurn([this.turn[0] + x, this.turn[1] + y]);
      this.turned(this.turn);
    };
    this.canvas.addEventListener("pointerdown", (event) => this.canvas.setPointerCapture(event.pointerId));
    this.canvas.addEventListener("pointermove", (event) => {
      if (this.canvas.hasPointerCapture(event.pointerId)) move(0.01 * event.movementX, 0.01 * event.movementY);
    });
    this.canvas.addEventListener("keydown", (event) => {
      const step = KEYS[event.key];
      if (!step) return;
      event.preventDefault();
      move(...step.map((part) => TURN_PER_KEY * part));
    });
  }
}
