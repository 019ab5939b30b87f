'use strict';
// The sheet: strokes by mouse, finger, pen and keyboard, or a picture that was dropped on it.

const PEN = 0.065; // of the sheet's side
const SENT = 280; // pixels a side of the picture that is sent
const STEP = 1 / 24; // of the side, that an arrow moves the pen

const $ = (id) => document.getElementById(id);
const canvas = $('canvas');
const context = canvas.getContext('2d');
const sent = Object.assign(document.createElement('canvas'), { width: SENT, height: SENT });
let told = { changed() {}, nib() {} };

/** What is on the sheet; `version` grows with each change, `drawing` with each new sheet. */
export const ink = { strokes: [], picture: null, version: 0, drawing: 0 };
export const empty = () => !ink.strokes.length && !ink.picture;

function trace(target, side, colour) {
  target.strokeStyle = target.fillStyle = colour;
  target.lineWidth = PEN * side;
  target.lineCap = target.lineJoin = 'round';
  for (const stroke of ink.strokes) {
    target.beginPath();
    target.arc(stroke[0].x * side, stroke[0].y * side, (PEN * side) / 2, 0, 2 * Math.PI);
    target.fill(); // since a line of no length is not drawn
    target.beginPath();
    target.moveTo(stroke[0].x * side, stroke[0].y * side);
    stroke.forEach((point, index) => { // through the middles between points: no corners where the hand made none
      const next = stroke[index + 1] ?? point;
      const [x, y] = [(point.x + next.x) / 2, (point.y + next.y) / 2];
      target.quadraticCurveTo(point.x * side, point.y * side, x * side, y * side);
    });
    target.stroke();
  }
}

let painting = 0;

export function paint() {
  painting ||= requestAnimationFrame(() => {
    painting = 0;
    const side = Math.max(1, Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)));
    if (canvas.width !== side) canvas.width = canvas.height = side;
    context.clearRect(0, 0, side, side);
    const bitmap = ink.picture?.bitmap;
    if (bitmap) {
      const scale = Math.min(side / bitmap.width, side / bitmap.height);
      const [width, height] = [bitmap.width * scale, bitmap.height * scale];
      context.drawImage(bitmap, (side - width) / 2, (side - height) / 2, width, height);
    }
    trace(context, side, getComputedStyle(canvas).color);
    $('sheet').classList.toggle('inked', !empty());
    $('undo').disabled = $('clear').disabled = empty();
  });
}

/** The picture as it is sent: the file that was dropped, or the drawing as a PNG. */
export function pictureOf() {
  if (ink.picture) return ink.picture.file;
  const target = sent.getContext('2d');
  target.fillStyle = 'white';
  target.fillRect(0, 0, SENT, SENT);
  trace(target, SENT, 'black');
  return new Promise((resolve) => sent.toBlob(resolve, 'image/png'));
}

function changed() {
  ink.version++;
  if (empty()) ink.drawing++;
  paint();
  told.changed();
}

/** Say who is called when the ink changes, and when the keyboard's pen is set down or lifted. */
export function listen(listeners) {
  told = listeners;
}

/** Lay a picture on an empty sheet; without a bitmap, which the browser could not make, it stays unseen. */
export function put(file, bitmap) {
  wipe();
  ink.picture = { file, bitmap };
  changed();
}

function begin(point) {
  if (ink.picture) wipe();
  ink.strokes.push([point]);
  changed();
}

function extend(points) {
  ink.strokes.at(-1).push(...points);
  changed();
}

export function wipe() {
  if (empty()) return;
  Object.assign(ink, { strokes: [], picture: null });
  lift();
  changed();
}

function undo() {
  if (ink.picture || ink.strokes.length < 2) { wipe(); return; }
  ink.strokes.pop();
  lift();
  changed();
}

// The mouse, the finger and the pen

let pointer = null;

function place(event) {
  const box = canvas.getBoundingClientRect();
  return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
}

canvas.addEventListener('pointerdown', (event) => {
  if (pointer !== null || event.button) return;
  $('sheet').classList.remove('typed');
  lift();
  begin(place(event));
  pointer = event.pointerId; // only now: a sheet that is wiped ends all strokes
  canvas.setPointerCapture(pointer);
});

canvas.addEventListener('pointermove', (event) => {
  if (event.pointerId !== pointer) return;
  const all = event.getCoalescedEvents?.() ?? [];
  extend((all.length ? all : [event]).map(place));
});

for (const kind of ['pointerup', 'pointercancel', 'lostpointercapture']) {
  canvas.addEventListener(kind, (event) => { if (event.pointerId === pointer) pointer = null; });
}

// The keyboard

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const held = new Set();
const nib = { x: 0.5, y: 0.2, down: false };

function showNib() {
  $('pen').style.setProperty('--x', nib.x);
  $('pen').style.setProperty('--y', nib.y);
  $('pen').classList.toggle('down', nib.down);
}

/** No stroke goes on: neither that of the keyboard nor that of the pointer. */
function lift() {
  nib.down = false;
  pointer = null;
  showNib();
}

function toggleNib() {
  if (nib.down) {
    lift();
  } else {
    begin({ x: nib.x, y: nib.y });
    nib.down = true;
    showNib();
  }
  told.nib(nib.down);
}

/** Move by all arrows that are held, so that two of them draw a slanted line. */
function moveNib() {
  for (const [x, y] of Array.from(held, (key) => ARROWS[key])) {
    nib.x = Math.min(0.96, Math.max(0.04, nib.x + x * STEP));
    nib.y = Math.min(0.96, Math.max(0.04, nib.y + y * STEP));
  }
  showNib();
  if (nib.down) extend([{ x: nib.x, y: nib.y }]);
}

canvas.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key === ' ' || event.key in ARROWS)) return;
  event.preventDefault();
  $('sheet').classList.add('typed');
  if (event.key in ARROWS) {
    held.add(event.key);
    moveNib();
  } else if (!event.repeat) {
    toggleNib();
  }
});

canvas.addEventListener('keyup', (event) => held.delete(event.key));
canvas.addEventListener('focus', () => $('sheet').classList.toggle('typed', canvas.matches(':focus-visible')));
canvas.addEventListener('blur', () => {
  held.clear();
  $('sheet').classList.remove('typed');
});

document.addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === 'z') undo();
  else if (event.key === 'Escape' || event.key === 'Delete') wipe();
  else return;
  event.preventDefault();
});

$('undo').addEventListener('click', undo);
$('clear').addEventListener('click', wipe);
new ResizeObserver(paint).observe(canvas);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);

