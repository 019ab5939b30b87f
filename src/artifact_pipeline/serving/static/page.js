'use strict';
// The page draws, asks and shows. How a picture becomes a row is the server's affair alone: it gets the picture whole.

const PEN = 0.065; // of the sheet's side
const SENT = 280; // pixels a side of the picture that is sent
const PACE = 80; // milliseconds between two questions, at least
const STEP = 1 / 24; // of the side, that an arrow moves the pen
const LARGE = 30; // classes beyond which no confusion matrix is shown

const $ = (id) => document.getElementById(id);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const count = (number) => number.toLocaleString('en');
const a = (label) => (/^(8|11$|18$|[aeiou])/i.test(label) ? `an ${label}` : `a ${label}`);

/** An element with classes, text and children; text is never read as HTML. */
function make(tag, className = '', content = '', ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(String(content), ...children);
  return element;
}

// What is told

let announcing = 0;

/** Say something to whoever listens, once nothing newer has come for a while. */
function announce(text, after = 600) {
  clearTimeout(announcing);
  announcing = setTimeout(() => { $('announcement').textContent = text; }, after);
}

function notice(text) {
  $('notice').textContent = text;
  $('notice').hidden = !text;
}

// The server

class Refused extends Error {}
let away = false;

/** Ask the server; while it is gone, or sends away, try again for as long as `wanted` says so. */
async function ask(path, body, wanted = () => true) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 4000)) {
    try {
      const response = await fetch(path, body === undefined ? {} : { method: 'POST', body });
      const value = await response.json();
      if (response.ok || (response.status < 500 && response.status !== 408)) {
        if (away) notice('');
        away = false;
        if (!response.ok) throw new Refused(value.error ?? `the server answered ${response.status}`);
        const digest = response.headers.get('artifact-digest');
        if (model && digest && digest !== model.digest && path !== 'page/model') void introduce();
        return value;
      }
      notice(`The server says: ${value.error ?? response.status}. Trying again …`);
    } catch (error) {
      if (error instanceof Refused) throw error;
      notice('The server does not answer. Trying again …');
    }
    away = true;
    await pause(wait);
    if (!wanted()) return null;
  }
}

// The drawing

const canvas = $('canvas');
const context = canvas.getContext('2d');
const sent = Object.assign(document.createElement('canvas'), { width: SENT, height: SENT });
const ink = { strokes: [], picture: null, version: 0, drawing: 0 };
const empty = () => !ink.strokes.length && !ink.picture;

function trace(target, side, colour) {
  target.strokeStyle = colour;
  target.lineWidth = PEN * side;
  target.lineCap = target.lineJoin = 'round';
  for (const stroke of ink.strokes) {
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

function paint() {
  painting ||= requestAnimationFrame(() => {
    painting = 0;
    const side = Math.max(1, Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)));
    if (canvas.width !== side) canvas.width = canvas.height = side;
    context.clearRect(0, 0, side, side);
    if (ink.picture) {
      const { bitmap } = ink.picture;
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
function pictureOf() {
  if (ink.picture) return ink.picture.file;
  const target = sent.getContext('2d');
  target.fillStyle = 'white';
  target.fillRect(0, 0, SENT, SENT);
  trace(target, SENT, 'black');
  return new Promise((resolve) => sent.toBlob(resolve, 'image/png'));
}

function changed() {
  if (!ink.version++ || empty()) notice('');
  if (empty()) ink.drawing++;
  allowTeaching();
  paint();
  void inquire();
}

function begin(point) {
  if (ink.picture) wipe();
  ink.strokes.push([point]);
  changed();
}

function extend(...points) {
  ink.strokes.at(-1).push(...points);
  changed();
}

function wipe() {
  ink.strokes = [];
  ink.picture = null;
  lift();
  changed();
}

function undo() {
  if (empty()) return;
  if (ink.picture) { wipe(); return; }
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
  pointer = event.pointerId;
  canvas.setPointerCapture(pointer);
  $('sheet').classList.remove('keys');
  lift();
  begin(place(event));
});

canvas.addEventListener('pointermove', (event) => {
  if (event.pointerId !== pointer || !ink.strokes.length) return;
  const all = event.getCoalescedEvents?.() ?? [];
  extend(...(all.length ? all : [event]).map(place));
});

for (const kind of ['pointerup', 'pointercancel', 'lostpointercapture']) {
  canvas.addEventListener(kind, (event) => { if (event.pointerId === pointer) pointer = null; });
}

// The keyboard

const nib = { x: 0.5, y: 0.2, down: false };
const held = new Set();
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function showNib() {
  $('pen').style.setProperty('--x', nib.x);
  $('pen').style.setProperty('--y', nib.y);
  $('pen').classList.toggle('down', nib.down);
}

function lift() {
  nib.down = false;
  showNib();
}

canvas.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === ' ') {
    event.preventDefault();
    if (event.repeat) return;
    if (nib.down) lift();
    else begin({ x: nib.x, y: nib.y });
    nib.down = !empty() && !nib.down && event.isTrusted !== undefined && wantsDown;
  }
});
