// @ts-check
/** A drawn person as a live picture, so that tests and screenshots need no file and no camera. */

/**
 * @param {{width?: number, height?: number, mouth?: number}} [given]
 * @returns {HTMLCanvasElement}
 */
export function portrait({ width = 960, height = 960, mouth = 0.5 } = {}) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  c.scale(width / 960, height / 960);
  const wall = c.createLinearGradient(0, 0, 960, 960);
  wall.addColorStop(0, "#d9e2ee");
  wall.addColorStop(1, "#8da3bf");
  c.fillStyle = wall;
  c.fillRect(0, 0, 960, 960);
  for (const [x, y, r, colour] of /** @type {const} */ ([
    [150, 230, 210, "#ffffff55"],
    [820, 180, 150, "#fff4dd66"],
    [880, 560, 240, "#5f7ea833"],
  ])) {
    const glow = c.createRadialGradient(x, y, 0, x, y, r);
    glow.addColorStop(0, colour);
    glow.addColorStop(1, "#ffffff00");
    c.fillStyle = glow;
    c.fillRect(0, 0, 960, 960);
  }
  const shape = (/** @type {string} */ colour, /** @type {string} */ path) => {
    c.fillStyle = colour;
    c.fill(new Path2D(path));
  };
  shape("#2b211f", "M300 420c-10-190 80-290 190-290s205 90 195 300c-5 120-20 210 10 300H270c40-90 35-190 30-310z");
  shape("#22335b", "M130 960c10-190 130-250 250-275h220c120 25 235 85 250 275z");
  shape("#f4f6fb", "M400 690l85 110 95-110 25 270H370z");
  shape("#c98f74", "M415 570h150v130c-40 60-110 60-150 0z");
  shape("#e0a98d", "M355 400c0-140 60-200 135-200s140 60 140 200c0 150-60 245-140 245S355 550 355 400z");
  shape("#3a2c29", "M345 420c0-150 70-235 150-235 90 0 150 80 145 235-15-110-60-150-110-165-20 50-110 70-185 165z");
  for (const x of [432, 556]) {
    shape("#ffffff", `M${x - 30} 405q30-26 60 0q-30 20-60 0z`);
    c.fillStyle = "#4a3426";
    c.beginPath();
    c.arc(x, 403, 12, 0, 7);
    c.fill();
    c.strokeStyle = "#3a2c29";
    c.lineWidth = 9;
    c.lineCap = "round";
    c.stroke(new Path2D(`M${x - 32} 368q32-20 64-2`));
  }
  c.strokeStyle = "#b87c62";
  c.lineWidth = 7;
  c.stroke(new Path2D("M496 410q-10 60-14 76q14 12 30 2"));
  shape("#8f3f3f", `M446 548q48 14 98 0q-14 ${22 + mouth * 42}-49 ${22 + mouth * 42}t-49-${22 + mouth * 42}z`);
  shape("#ffffff", "M458 551q38 9 74 0q-8 14-37 14t-37-14z");
  return canvas;
}

/**
 * A stream that repeats its picture, as a track of a call does.
 *
 * @param {HTMLCanvasElement} canvas
 */
export function streamOf(canvas) {
  const stream = canvas.captureStream(10);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  setInterval(() => context.putImageData(image, 0, 0), 100);
  return stream;
}
